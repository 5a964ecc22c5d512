"""Typed settings (params.yaml), file locations, the environment, and the errors that a user can mend."""
