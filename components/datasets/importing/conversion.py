"""Staged texts and the rule of their file -> a Parquet file with the contract's columns and types.

Each column is one SQL expression on texts, which is null where a text is no value of its kind. A text that has become
null is an error that names file, row, column and text: nothing is dropped or guessed on the way.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path

import duckdb

from components.contract.schema import Kind
from components.datasets.importing import propensities, value_formats
from components.datasets.importing.guessing import column_of
from components.datasets.importing.mapping import ColumnRule, FileRule, Mapping
from components.datasets.importing.reading import ROW, StagedTable
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError

SQL_TYPE: Dict[Kind, str] = {
    "text": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
    "number": "DOUBLE",
    "whole": "BIGINT",
    "flag": "BOOLEAN",
    "bytes": "BLOB",
}
ZONE = r"(?:Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
EPOCH_MICROSECONDS = {"seconds": "1000000", "milliseconds": "1000", "microseconds": "1", "nanoseconds": "0.001"}
BLANKS = "[\\s\u00a0\u202f’'%]"
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


def convert(
    connection: duckdb.DuckDBPyConnection,
    table: StagedTable,
    rule: FileRule,
    mapping: Mapping,
    place: str,
    target: Path,
) -> Converted:
    """Write the rows of `table` to the Parquet file `target`, by `rule`; `place` names the rule in messages."""
    source = f"read_parquet({_text(str(table.parquet))})"
    made = {name: expression(rule.table, name, column, mapping) for name, column in rule.columns.items()}
    _check_values(connection, source, table, rule, made, place)
    digest = _row_digest(table) if any(column.made == "row digest" for column in rule.columns.values()) else None
    columns = [f"{sql} AS {_name(name)}" for name, sql in made.items() if rule.columns[name].made is None]
    columns += [f"{_made(rule, name, digest)} AS {_name(name)}" for name in made if rule.columns[name].made]
    kept = _kept_rows(rule)
    connection.execute(
        f"COPY (SELECT {', '.join(columns)}, {ROW} AS {ROW} FROM {source}{kept} ORDER BY {ROW}) "
        f"TO {_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )
    rows = connection.execute(f"SELECT count(*) FROM read_parquet({_text(str(target))})").fetchone()[0]
    notes = [*table.notes, *_clock_notes(connection, source, rule, mapping)]
    if rows < table.rows:
        notes.append(f"{table.rows - rows:,} rows left out, as `words` of the mapping say")
    return Converted(rule.table, table, target, tuple(made), rows, tuple(notes))


def expression(role: str, name: str, rule: ColumnRule, mapping: Mapping) -> str:
    """The SQL of column `name` of a kind of file, on the columns of the staged table."""
    column = column_of(role, name)
    kind = "whole" if name in ("click", "conversion") else column.kind
    if rule.made:
        return "NULL"
    if rule.value is not None:
        return f"CAST({_text(str(rule.value))} AS {SQL_TYPE[kind]})"
    cell = _name(rule.column)
    if kind == "bytes":
        return cell
    if rule.clock:
        cell = f"trim({cell}) || ' ' || trim({_name(rule.clock)})"
    if kind == "flag" or name in ("click", "conversion"):
        return _flag(cell, rule, kind)
    if rule.words is not None:
        return _words(cell, rule.words)
    if kind == "timestamp":
        return _time(_value(cell), rule, mapping.zone)
    if kind in ("number", "whole"):
        return _number(_value(cell), rule, kind)
    if name.endswith("_id") or name == "campaign" or column.references:
        return _id(_value(cell), rule)
    if rule.decimal:  # an open column of numbers
        return _number(_value(cell), rule, "number")
    trimmed = f"trim({cell})"
    kept = trimmed if name.startswith(("context_", "feature_")) else cell
    return f"(CASE WHEN {trimmed} IN ('', '\\N', 'NULL', 'null', 'NaN', 'nan') THEN NULL ELSE {kept} END)"


def _value(cell: str) -> str:
    """The cell without blanks around it; null where it holds a word for no value."""
    words = ", ".join(_text(word) for word in value_formats.NO_VALUE)
    return f"(CASE WHEN trim({cell}) IN ({words}) THEN NULL ELSE trim({cell}) END)"


def _id(value: str, rule: ColumnRule) -> str:
    lost = r"[-+]?\d(?:[.,]\d+)?[eE]\+\d+|\d{16,}\.0+"
    whole = f"regexp_replace({value}, '\\.0+$', '')" if rule.point_zero else value
    return f"(CASE WHEN regexp_full_match({value}, {_text(lost)}) THEN NULL ELSE {whole} END)"


def _number(value: str, rule: ColumnRule, kind: Kind) -> str:
    without_sign = f"regexp_replace({value}, {_text(value_formats.MONEY.pattern)}, '', 'g')"
    bare = f"regexp_replace({without_sign}, {_text(BLANKS)}, '', 'g')"
    comma = rule.decimal == ","
    grouped = value_formats.COMMA.pattern if comma else value_formats.POINT.pattern
    digits = f"replace(replace({bare}, '.', ''), ',', '.')" if comma else f"replace({bare}, ',', '')"
    plain = "NULL" if comma else f"TRY_CAST({bare} AS DOUBLE)"
    number = (
        f"(CASE WHEN regexp_full_match({bare}, {_text(_re2(grouped))}) THEN TRY_CAST({digits} AS DOUBLE) "
        f"WHEN regexp_full_match({bare}, {_text(_re2(value_formats.PLAIN.pattern))}) THEN {plain} END)"
    )
    if kind == "whole":
        return f"(CASE WHEN {number} = floor({number}) THEN CAST({number} AS BIGINT) END)"
    return propensities.SQL[rule.form].format(number) if rule.form else number


def _re2(pattern: str) -> str:
    return pattern.replace("(?:", "(")


def _flag(cell: str, rule: ColumnRule, kind: Kind) -> str:
    yes, no = ("true", "false") if kind == "flag" else ("1", "0")
    value = _value(cell)
    if rule.filled:
        return f"(CASE WHEN {value} IS NULL THEN {no} ELSE {yes} END)"
    words = [", ".join(_text(word) for word in given or ()) or "''" for given in (rule.yes_words, rule.no_words)]
    empty = f"WHEN {value} IS NULL THEN {no} " if rule.empty == "no" else ""
    return f"(CASE {empty}WHEN trim({cell}) IN ({words[0]}) THEN {yes} WHEN trim({cell}) IN ({words[1]}) THEN {no} END)"


def _words(cell: str, words: Dict[str, str | None]) -> str:
    cases = " ".join(f"WHEN {_text(value)} THEN {_text(word or '')}" for value, word in words.items())
    return f"(CASE trim({cell}) {cases} END)" if cases else "NULL"


def _time(value: str, rule: ColumnRule, zone: str | None) -> str:
    formats = (rule.format,) if isinstance(rule.format, str) else rule.format or ("iso",)
    local = _text(rule.zone or zone or "UTC")
    parts = [_time_of_format(value, name, local) for name in formats]
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _time_of_format(value: str, name: str, local: str) -> str:
    if name.startswith("epoch "):
        factor = EPOCH_MICROSECONDS[name.removeprefix("epoch ")]
        micros = f"CAST(TRY_CAST({value} AS DECIMAL(38, 9)) * {factor} AS BIGINT)"
        moment = f"to_timestamp(0) + to_microseconds({micros})"
        first, last = value_formats.FIRST_EPOCH, value_formats.LAST_EPOCH
        return f"(CASE WHEN {micros} BETWEEN {first}000000 AND {last}000000 THEN {moment} END)"
    if name == "iso":
        dotted = f"replace({value}, ',', '.')"
        zoned = f"TRY_CAST({dotted} AS TIMESTAMPTZ)"
        naive = _in_zone(f"TRY_CAST({dotted} AS TIMESTAMP)", local)
        shape = _text(
            r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?)?\s*(Z|z|UTC|GMT|[+-]\d{2}(:?\d{2})?)?"
        )
        has_zone = f"(length({value}) > 10 AND regexp_matches({value}, {_text(ZONE)}))"
        wrong = f"NOT regexp_full_match({value}, {shape})"
        return f"(CASE WHEN {wrong} THEN NULL WHEN {has_zone} THEN {zoned} ELSE {naive} END)"
    return _in_zone(f"TRY_STRPTIME({value}, {_text(name)})", local)


def _in_zone(naive: str, local: str) -> str:
    """The moment of a clock's time in a zone; null where clocks skip it."""
    return f"(CASE WHEN timezone({local}, timezone({local}, {naive})) = {naive} THEN timezone({local}, {naive}) END)"


def _row_digest(table: StagedTable) -> str:
    """An id made of all that a row says, and a number for equal rows: the same in any file, so nothing comes twice."""
    cells = ", ".join(f"coalesce(CAST({_name(column)} AS VARCHAR), '\\0')" for column in table.columns)
    digest = f"substr(sha256(concat_ws(chr(31), {cells})), 1, 20)"
    repeat = f"row_number() OVER (PARTITION BY {digest} ORDER BY {ROW})"
    return f"({digest} || CASE WHEN {repeat} > 1 THEN '-' || {repeat} ELSE '' END)"


def _made(rule: FileRule, name: str, digest: str | None) -> str:
    column = rule.columns[name]
    if column.made == "row digest":
        return digest
    shown = rule.columns["impression_id"]
    return digest if shown.made else expression(rule.table, "impression_id", shown, Mapping(files=()))


def _kept_rows(rule: FileRule) -> str:
    """A WHERE for rows whose words the mapping does not leave out."""
    gone = [
        f"coalesce(trim({_name(column.column)}), '') NOT IN ({', '.join(_text(value) for value in values)})"
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
    made: Dict[str, str],
    place: str,
) -> None:
    """UserError for the first text that its column's expression takes for no value."""
    checks = {}
    for name, sql in made.items():
        column = rule.columns[name]
        if column.column is None or column_of(rule.table, name).kind == "bytes":
            continue
        strict = name in ("click", "conversion", "consent") and column.empty != "no" and not column.filled
        cell = f"trim({_name(column.column)})"
        present = f"coalesce({cell}, '') IS NOT NULL" if strict else f"{_value(_name(column.column))} IS NOT NULL"
        if name == "conversion" or (column.words is not None):
            present = f"{_value(_name(column.column))} IS NOT NULL"
        checks[name] = f"min(CASE WHEN {present} AND ({sql}) IS NULL THEN {ROW} END)"
    if not checks:
        return
    first = connection.execute(f"SELECT {', '.join(checks.values())} FROM {source}").fetchone()
    for name, row in zip(checks, first, strict=True):
        if row is not None:
            column = rule.columns[name]
            cells = ", ".join(_name(part) for part in (column.column, column.clock) if part)
            value = " ".join(
                str(part) for part in connection.execute(f"SELECT {cells} FROM {source} WHERE {ROW} = {row}").fetchone()
            )
            raise UserError(
                f"{place}: {table.place}, row {row}: column {column.column} holds {value!r} where "
                f"{_due(rule.table, name)} is due (columns.{name})"
            )


def _due(role: str, name: str) -> str:
    kind = "flag" if name in ("click", "conversion") else column_of(role, name).kind
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
    text = _value(_name(column.column))
    if not naive:
        return []
    twice = connection.execute(
        f"SELECT count(*) FROM {source} WHERE NOT regexp_matches({text}, {_text(ZONE)}) "
        f"AND timezone({_text(zone)}, {moment} - {hour}) = timezone({_text(zone)}, {moment})"
    ).fetchone()[0]
    return [f"{twice:,} times in the hour that clocks went through twice are read as the later one"] if twice else []


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
