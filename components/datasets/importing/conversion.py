"""Staged texts and the rule of their file -> a Parquet file with the contract's columns and types.

Each column is one SQL expression on texts, which is null where a text is no value of its kind. A text that has become
null is an error that names file, row, column and text: nothing is dropped or guessed on the way.
"""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from components.datasets.importing.cell_expressions import ZONE, column_of, expression, present_value
from components.datasets.importing.mapping import FileRule, Mapping
from components.datasets.importing.sql_text import sql_name, sql_text
from components.datasets.importing.staging.reading import ROW, StagedTable
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError

SHOWN = 10  # names of columns in a message
PLACE = ("request_id", "position")  # what an impression of a slate is called by
DUE = {
    "timestamp": "a time of the format in the mapping",
    "number": "a number",
    "whole": "a whole number",
    "flag": "one of the words for yes and no in the mapping",
    "text": "text",
    "bytes": "bytes",
}


@dataclass(frozen=True)
class Converted:
    """A file's rows in the contract's columns: the Parquet file, its columns, and what was noticed, in words."""

    role: str
    table: StagedTable
    parquet: Path
    columns: tuple[str, ...]
    rows: int
    notes: tuple[str, ...]
    made: tuple[str, ...] = ()  # columns of ids that the import made


def convert(
    connection: duckdb.DuckDBPyConnection,
    table: StagedTable,
    rule: FileRule,
    mapping: Mapping,
    *,
    place: str,
    target: Path,
) -> Converted:
    """Write the rows of `table` to the Parquet file `target`, by `rule`; `place` names the rule in messages."""
    source = f"read_parquet({sql_text(str(table.parquet))})"
    made = {name: expression(rule.table, name, column, mapping) for name, column in rule.columns.items()}
    _check_values(connection, source, table, rule, made=made, place=place)
    digest = _row_digest(table) if any(column.made == "row digest" for column in rule.columns.values()) else None
    columns = [f"{sql} AS {sql_name(name)}" for name, sql in made.items() if rule.columns[name].made is None]
    columns += [f"{_made(rule, name, digest, mapping)} AS {sql_name(name)}" for name in made if rule.columns[name].made]
    kept = _kept_rows(rule)
    connection.execute(
        f"COPY (SELECT {', '.join(columns)}, {ROW} AS {ROW} FROM {source}{kept}) "
        f"TO {sql_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )
    rows = connection.execute(f"SELECT count(*) FROM read_parquet({sql_text(str(target))})").fetchone()[0]
    notes = [*table.notes, *_clock_notes(connection, source, rule, mapping)]
    if rule.left_out:
        notes.append(f"columns left out: {_some(rule.left_out)}")
    zero = [column.column for column in rule.columns.values() if column.counted_from == 0]
    notes += [f"column {name} counts places from 0: position is one more" for name in zero]
    if rows < table.rows:
        notes.append(f"{table.rows - rows:,} rows left out, as `words` of the mapping say")
    own = tuple(name for name, column in rule.columns.items() if column.made)
    return Converted(rule.table, table, target, tuple(made), rows, tuple(notes), own)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _row_digest(table: StagedTable) -> str:
    """An id made of all that a row says, and a number for equal rows: the same in any file, so nothing comes twice."""
    cells = ", ".join(f"coalesce(CAST({sql_name(column)} AS VARCHAR), '\\0')" for column in table.columns)
    digest = f"substr(sha256(concat_ws(chr(31), {cells})), 1, 20)"
    repeat = f"row_number() OVER (PARTITION BY {digest} ORDER BY {ROW})"
    return f"({digest} || CASE WHEN {repeat} > 1 THEN '-' || {repeat} ELSE '' END)"


def _made(rule: FileRule, name: str, digest: str | None, mapping: Mapping) -> str:
    column = rule.columns[name]
    if column.made == "row digest":
        return digest
    if column.made == "request_id and position":
        request, position = (expression(rule.table, part, rule.columns[part], mapping) for part in PLACE)
        return f"({request} || '-' || {position})"
    shown = rule.columns["impression_id"]
    if shown.made:
        return _made(rule, "impression_id", digest, mapping)
    return expression(rule.table, "impression_id", shown, mapping)


def _kept_rows(rule: FileRule) -> str:
    """A WHERE for rows whose words the mapping does not leave out."""
    gone = [
        f"coalesce(trim({sql_name(column.column)}), '') NOT IN ({', '.join(sql_text(value) for value in values)})"
        for column in rule.columns.values()
        if column.words and (values := [value for value, word in column.words.items() if word is None])
    ]
    return f" WHERE {' AND '.join(gone)}" if gone else ""


def check_fits(table: StagedTable, rule: FileRule, place: str) -> None:
    """UserError where the table lacks a column of its rule, or has one that the rule does not know."""
    if rule.table in (OPEN, "skip"):
        return
    wanted = {name for column in rule.columns.values() for name in (column.column, column.clock) if name}
    missing = sorted(wanted - set(table.columns))
    if missing:
        raise UserError(
            f"{place}: {table.place} has no column {missing[0]!r}; its columns are {', '.join(table.columns)}"
        )
    new = [column for column in table.columns if column not in wanted and column not in rule.left_out]
    if new:
        raise UserError(
            f"{place}: {table.place} has a column {new[0]!r} that the mapping does not know; add it to "
            "columns or to left_out"
        )


def _check_values(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    table: StagedTable,
    rule: FileRule,
    *,
    made: Dict[str, str],
    place: str,
) -> None:
    """UserError for the first text that its column's expression takes for no value."""
    checks = {}
    for name, sql in made.items():
        column = rule.columns[name]
        if column.column is None or column_of(rule.table, name).kind == "bytes":
            continue
        # an empty cell is no value, but for flags: it may mean no, or that nothing is known
        strict = name in ("click", "consent") and column.empty != "no" and not column.filled
        present = "true" if strict else f"{present_value(sql_name(column.column))} IS NOT NULL"
        checks[name] = f"min(CASE WHEN {present} AND ({sql}) IS NULL THEN {ROW} END)"
    if not checks:
        return
    first = connection.execute(f"SELECT {', '.join(checks.values())} FROM {source}").fetchone()
    for name, row in zip(checks, first, strict=True):
        if row is not None:
            column = rule.columns[name]
            cells = ", ".join(sql_name(part) for part in (column.column, column.clock) if part)
            value = " ".join(
                str(part) for part in connection.execute(f"SELECT {cells} FROM {source} WHERE {ROW} = {row}").fetchone()
            )
            raise UserError(
                f"{place}: {table.place}, row {row}: column {column.column} holds {value!r}; expected "
                f"{_expected(rule.table, name)} (columns.{name})"
            )


def _expected(role: str, name: str) -> str:
    kind = "flag" if name in ("click", "conversion") else column_of(role, name).kind
    if name == "position":
        return "a whole number from 1 on, or from 0 on with `counted_from: 0`"
    if name.endswith("_id"):
        return "an id without lost digits"
    return DUE[kind] if name != "kind" else "one of `words` in the mapping"


def _clock_notes(connection: duckdb.DuckDBPyConnection, source: str, rule: FileRule, mapping: Mapping) -> list[str]:
    """How many local times are in an hour that the clocks went through twice: the later one is taken."""
    column = rule.columns.get("timestamp")
    zone = column and (column.zone or mapping.zone)
    if not zone or zone in ("UTC", OPEN) or column.column is None:
        return []
    moment, hour = f"({expression(rule.table, 'timestamp', column, mapping)})", "INTERVAL 1 HOUR"
    naive = not any(
        str(name).startswith("epoch")
        for name in ((column.format,) if isinstance(column.format, str) else column.format or ())
    )
    text = present_value(sql_name(column.column))
    if not naive:
        return []
    twice = connection.execute(
        f"SELECT count(*) FROM {source} WHERE NOT regexp_matches({text}, {sql_text(ZONE)}) "
        f"AND timezone({sql_text(zone)}, {moment} - {hour}) = timezone({sql_text(zone)}, {moment})"
    ).fetchone()[0]
    return [f"{twice:,} times in the hour that clocks went through twice are read as the later one"] if twice else []
