"""What validation will put into quarantine, told at the import: rows without a needed value, or with an unknown id."""

from components.contract.schema import TABLES
from components.datasets.importing.contract_views import ContractTables
from components.datasets.importing.sql_text import sql_name

TOLD = ("impressions", "creative_id")  # by check_creatives


def add_quarantine_notes(tables: ContractTables, fresh: bool) -> None:
    """Notes of rows whose needed values are null and, where the data set is new, of ids that no row of a table has."""
    for name in tables.present:
        if name in tables.derived:
            continue
        _note_nulls(tables, name)
    for name in tables.present if fresh else ():
        _note_unknown_ids(tables, name)


def _note_nulls(tables: ContractTables, name: str) -> None:
    needed = [c.name for c in TABLES[name].columns if not c.nullable and not c.null_throughout]
    needed = [column for column in needed if (name, column) != ("impressions", "click")]
    counts = ", ".join(f"count({sql_name(column)})" for column in needed)
    rows, *known = tables.one(f"SELECT count(*), {counts} FROM {tables.view(name)}")
    tables.notes.extend(
        f"{rows - count:,} of {rows:,} rows of {name} have no {column} and go to quarantine"
        for column, count in zip(needed, known, strict=True)
        if count < rows
    )


def _note_unknown_ids(tables: ContractTables, name: str) -> None:
    for column in TABLES[name].columns:
        parent = column.references
        if parent not in tables.present or parent in tables.derived or (name, column.name) == TOLD:
            continue
        key, child = sql_name(TABLES[parent].key[0]), sql_name(column.name)
        unknown, example = tables.one(
            f"SELECT count(*), min({child}) FROM {tables.view(name)} WHERE {child} NOT IN "
            f"(SELECT {key} FROM {tables.view(parent)} WHERE {key} IS NOT NULL)"
        )
        if unknown:
            tables.notes.append(
                f"{unknown:,} rows of {name} go to quarantine: their {column.name}, such as {example!r}, is in no row "
                f"of {parent}"
            )
