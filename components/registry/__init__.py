"""The MLflow registry: signed packages, champion and challenger, promotion and rollback."""
