"""Builds the data sets that come with Adloom, checks them, and brings in others: a folder, a database, more days."""

from components.datasets.add import AlreadyThere, add
from components.datasets.build import Built, build, verify
from components.datasets.importing.import_command import Imported, import_files
from components.datasets.pull import Pulled, pull

__all__ = ["AlreadyThere", "Built", "Imported", "Pulled", "add", "build", "import_files", "pull", "verify"]
