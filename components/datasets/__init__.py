"""Builds the data sets that come with Adloom, checks them, and takes in a user's own."""

from components.datasets.add import add
from components.datasets.build import Built, build, verify

__all__ = ["Built", "add", "build", "verify"]
