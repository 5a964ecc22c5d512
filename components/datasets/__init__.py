"""Data sets: build and verify those that come with Adloom, add a folder, pull from a database or a daily folder."""

from components.datasets.add import AlreadyAdded, add
from components.datasets.build import Built, build, verify
from components.datasets.importing.import_command import Imported, import_files
from components.datasets.pull import Pulled, pull

__all__ = ["AlreadyAdded", "Built", "Imported", "Pulled", "add", "build", "import_files", "pull", "verify"]
