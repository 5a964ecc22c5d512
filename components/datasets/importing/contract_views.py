"""The contract's tables of an import as views in DuckDB, each a query on files: no log is held in memory."""

from collections import Counter
from dataclasses import dataclass, field

import duckdb

# Columns of the views that no table has: the file and the row that a row comes from, and the advertised product.
BESIDE = ("_file", "_row", "_product")


@dataclass
class ContractTables:
    """The tables as views `t_<table>`; `derived`: those that no file of this import gives. notes: what was noticed."""

    connection: duckdb.DuckDBPyConnection
    present: list[str] = field(default_factory=list)
    derived: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    versions: Counter = field(default_factory=Counter)

    def view(self, name: str) -> str:
        """The view of a table."""
        return f"t_{name}"

    def current(self, name: str) -> str:
        """The view that a table's view shows now: what a query that replaces it may read."""
        return f"{self.view(name)}_{self.versions[name]}"

    def replace(self, name: str, query: str) -> None:
        """Make `query` the view of a table."""
        self.versions[name] += 1
        self.connection.execute(f"CREATE VIEW {self.current(name)} AS {query}")
        self.connection.execute(f"CREATE OR REPLACE VIEW {self.view(name)} AS SELECT * FROM {self.current(name)}")

    def columns(self, name: str) -> list[str]:
        """The columns of a table: the declared ones, then open ones."""
        described = self.connection.execute(f"DESCRIBE {self.view(name)}").fetchall()
        return [row[0] for row in described if row[0] not in BESIDE]

    def one(self, query: str) -> tuple | None:
        """The first row of a query."""
        return self.connection.execute(query).fetchone()
