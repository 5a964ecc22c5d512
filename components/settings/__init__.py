"""Typed settings (params.yaml), file locations, environment variables, and the errors that a user can mend."""
