"""Converted files -> the contract's tables: files of one table joined, what is missing filled in or left away.

Every table is a view in DuckDB that has the contract's columns, so that no log is held in memory. Rows that are there
twice are taken once and counted; rows that share an id and differ stop the import.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from components.contract.card import CARD_FILE
from components.contract.schema import TABLES
from components.datasets.importing.cell_expressions import SQL_TYPE
from components.datasets.importing.contract_views import ContractTables
from components.datasets.importing.conversion import Converted
from components.datasets.importing.derived_tables import (
    check_creatives,
    complete_campaigns,
    derive_creatives,
    fill_campaigns,
    fill_propensities,
    take_held_creatives,
)
from components.datasets.importing.mapping import Mapping
from components.datasets.importing.platform_reports import add_reports
from components.datasets.importing.quarantine_notes import add_quarantine_notes
from components.datasets.importing.sql_text import sql_name
from components.datasets.importing.staging.reading import ROW
from components.datasets.importing.views_and_clicks import join_marks
from components.settings.errors import UserError

MISSING = {  # an optional table or column -> what is off without it
    "events": "features of shoppers' behaviour",
    "products": "features of products, and ads for products",
    "images": "generators of new creatives",
    "shoppers": "features of shoppers; everyone counts as having agreed to the use of their data",
    "candidates": "the check of all propensities; the active creatives of a campaign count as eligible",
}


def contract_tables(
    connection: duckdb.DuckDBPyConnection, converted: Sequence[Converted], mapping: Mapping, held: Path
) -> ContractTables:
    """The tables of these files. held: the data set's folder, with what is there already and its mapping."""
    name, place = held.name, str(held / "mapping.yaml")
    tables = ContractTables(connection)
    for table in TABLES:
        roles = (table, "views_and_clicks") if table == "impressions" else (table,)
        parts = [part for part in converted if part.role in roles]
        if parts:
            _union(tables, table, parts)
    _say_who_is_made(tables, converted)
    join_marks(tables, converted)
    take_held_creatives(tables, held)
    if "impressions" in tables.present:
        fill_campaigns(tables, place)
        derive_creatives(tables)
        check_creatives(tables)
        fill_propensities(tables, mapping, place)
    add_reports(tables, converted)
    for table in tables.present:
        _only_once(tables, table, [part for part in converted if part.role == table])
    complete_campaigns(tables, name)
    add_quarantine_notes(tables, fresh=not (held / CARD_FILE).exists())
    _say_what_is_missing(tables)
    return tables


def _union(tables: ContractTables, name: str, parts: Sequence[Converted]) -> None:
    files = ", ".join(f"'{str(part.parquet).replace(chr(39), chr(39) * 2)}'" for part in parts)
    there = [column for column in dict.fromkeys(c for part in parts for c in part.columns)]
    declared = TABLES[name]
    shown = [
        f'"{column.name}"' if column.name in there else f'CAST(NULL AS {SQL_TYPE[column.kind]}) AS "{column.name}"'
        for column in declared.columns
    ]
    shown += [sql_name(column) for column in there if declared.column(column) is None and declared.is_open(column)]
    if name == "impressions" and "product_id" in there:
        shown.append("product_id AS _product")
    timed = declared.column("timestamp") is not None
    where = ' WHERE "timestamp" IS NOT NULL' if timed else ""
    if name == "impressions" and any(part.role == "views_and_clicks" for part in parts):
        where += " AND coalesce(kind, 'view') = 'view'"
    source = f"read_parquet([{files}], union_by_name = true, filename = true)"
    tables.replace(name, f"SELECT {', '.join(shown)}, filename AS _file, {ROW} FROM {source}{where}")
    if timed:
        gone = tables.connection.execute(f'SELECT count(*) FROM {source} WHERE "timestamp" IS NULL').fetchone()[0]
        if gone:
            tables.notes.append(f"{gone:,} rows of {name} have no time and are left out")
    tables.present.append(name)
    if "keep_probability" in there:
        _check_sampling_share(tables, source)


def _check_sampling_share(tables: ContractTables, source: str) -> None:
    """UserError for a share outside (0, 1]; a notice of what a share below 1 means."""
    low, high = tables.one(f"SELECT min(keep_probability), max(keep_probability) FROM {source}")
    if low is None or low == high == 1:
        return
    if low <= 0 or high > 1:
        raise UserError(
            f"impressions: keep_probability is from {low:g} to {high:g}; expected shares above 0 and at most 1"
        )
    if low == high:
        note = f"the log is a sample that kept {low:g} of all rows alike: rates are right, counts are of the sample"
    else:
        note = (
            f"the log is a sample that kept between {low:g} and {high:g} of the rows (keep_probability), so evaluation "
            "abstains, and learned click rates are those of the sample"
        )
    tables.notes.append(note)


def _say_who_is_made(tables: ContractTables, converted: Sequence[Converted]) -> None:
    if any("shopper_id" in part.made for part in converted):
        tables.notes.append(
            "no shopper ids: each impression counts as a shopper of its own, so nothing is learned of a shopper's past"
        )


def _only_once(tables: ContractTables, name: str, parts: Sequence[Converted]) -> None:
    """Rows that are there twice are taken once; UserError where rows share a key and differ."""
    key = ", ".join(f'"{column}"' for column in TABLES[name].key)
    filled = " AND ".join(f'"{column}" IS NOT NULL' for column in TABLES[name].key)
    view = tables.current(name)
    columns = tables.columns(name)
    listed = ", ".join(map(sql_name, columns))
    repeated = tables.connection.execute(
        f"SELECT {key}, count(*) AS n, min(hash({listed})) <> max(hash({listed})) AS differ FROM {view} WHERE {filled} "
        f"GROUP BY {key} HAVING count(*) > 1 ORDER BY differ DESC, {key} LIMIT 1"
    ).fetchone()
    if repeated is None:
        return
    if repeated[-1]:
        _refuse_differing(tables, name, repeated[: len(TABLES[name].key)], columns, parts)
    before = tables.connection.execute(f"SELECT count(*) FROM {view}").fetchone()[0]
    once = f"SELECT DISTINCT ON ({key}) * FROM {view} WHERE {filled} ORDER BY {key}, _file, {ROW}"
    tables.replace(name, f"({once}) UNION ALL (SELECT * FROM {view} WHERE NOT ({filled}))")
    after = tables.connection.execute(f"SELECT count(*) FROM {tables.view(name)}").fetchone()[0]
    tables.notes.append(f"{before - after:,} rows of {name} are there twice and are taken once")


def _refuse_differing(
    tables: ContractTables, name: str, key: Sequence[str], columns: Sequence[str], parts: Sequence[Converted]
) -> None:
    where = " AND ".join(f'"{column}" = ?' for column in TABLES[name].key)
    rows = tables.connection.execute(
        f"SELECT * FROM {tables.current(name)} WHERE {where} ORDER BY _file, {ROW}", list(key)
    )
    names = [part[0] for part in rows.description]
    records = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    first = records[0]
    other = next(r for r in records[1:] if any(r[c] != first[c] for c in columns))
    column = next(c for c in columns if other[c] != first[c])
    files = {str(part.parquet): part.table.place for part in parts}
    places = [f"{files.get(record['_file'], 'the file')}, row {record[ROW]}" for record in (first, other)]
    raise UserError(
        f"{name}: the rows of {', '.join(TABLES[name].key)} {', '.join(map(str, key))} disagree: {column} is "
        f"{first[column]} in {places[0]}, and {other[column]} in {places[1]}"
    )


def _say_what_is_missing(tables: ContractTables) -> None:
    for name, off in MISSING.items():
        if name not in tables.present:
            tables.notes.append(f"no {name}: off without them: {off}")
