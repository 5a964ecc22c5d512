"""Builds the data sets that come with Adloom, checks them, takes in a user's own, and lets the simulated one go on."""

from components.datasets.add import add
from components.datasets.advance import Advanced, advance
from components.datasets.build import Built, build, verify
from components.datasets.champion import Champion, read_champion

__all__ = ["Advanced", "Built", "Champion", "add", "advance", "build", "read_champion", "verify"]
