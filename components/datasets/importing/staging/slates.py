"""Slates, several creatives on one row -> one row for each place, with `slate_position` from 1.

A row holds its creatives as lists in cells (`a|b|c`, `["a", "b"]`) or as numbered columns (`creative_1`, `creative_2`).
Lists of JSON and Parquet records are unfolded when they are read.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import duckdb

from components.datasets.importing.column_names import plain, roles
from components.datasets.importing.mapping import Slate
from components.datasets.importing.sql_text import sql_name, sql_text
from components.datasets.importing.staging.reading import ROW, StagedTable
from components.datasets.importing.staging.typed_files import ELEMENT
from components.settings.errors import UserError

SEPARATORS = ("|", ";", ",")
NUMBERED = re.compile(r"(?P<stem>.*?\D)[ _.-]?(?P<number>\d{1,3})")
LOOK = 2_000


def find_slate(table: StagedTable) -> Slate | None:
    """How the rows of a table hold several creatives; None where they hold one."""
    usual = set(roles()["impressions"].names["creative_id"])
    numbered = _numbered(table.columns)
    stems = [stem for stem in numbered if plain(stem) in usual]
    if stems and len(numbered[stems[0]]) > 1:
        return Slate(numbered=tuple(stem for stem in numbered if numbered[stem].keys() == numbered[stems[0]].keys()))
    creative = next((column for column in table.columns if plain(column) in usual), None)
    return _lists(table, creative) if creative else None


def unfold(table: StagedTable, slate: Slate) -> StagedTable:
    """The table with a row for each place of its slates."""
    target = table.parquet.with_name(f"{table.parquet.stem}-unfolded.parquet")
    source = f"read_parquet({sql_text(table.parquet)})"
    if slate.separator:
        _check_lengths(table, slate, source)
    query = _of_lists(table, slate, source) if slate.separator else _of_numbers(table, slate, source)
    duckdb.execute(f"COPY ({query}) TO {sql_text(target)} (FORMAT parquet, COMPRESSION zstd)")
    columns = [row[0] for row in duckdb.execute(f"DESCRIBE SELECT * FROM read_parquet({sql_text(target)})").fetchall()]
    rows = duckdb.execute(f"SELECT count(*) FROM read_parquet({sql_text(target)})").fetchone()[0]
    names = tuple(column for column in columns if column != ROW)
    return replace(table, parquet=target, columns=names, rows=rows, slate=slate)


def _numbered(columns: Sequence[str]) -> dict[str, dict[int, str]]:
    """Stem -> number -> column, of columns such as `creative_1`."""
    found: dict[str, dict[int, str]] = {}
    for column in columns:
        match = NUMBERED.fullmatch(column)
        if match:
            found.setdefault(match["stem"], {})[int(match["number"])] = column
    return found


def _lists(table: StagedTable, creative: str) -> Slate | None:
    names = ", ".join(f"CAST({sql_name(column)} AS VARCHAR)" for column in table.columns)
    rows = duckdb.execute(
        f"SELECT {names} FROM read_parquet({sql_text(table.parquet)}) ORDER BY {ROW} LIMIT {LOOK}"
    ).fetchall()
    place = table.columns.index(creative)
    for separator in SEPARATORS:
        sizes = [_size(row[place], separator) for row in rows]
        if max(sizes, default=0) < 2:
            continue
        alike = tuple(
            column
            for at, column in enumerate(table.columns)
            if all(_size(row[at], separator) == size for row, size in zip(rows, sizes, strict=True))
        )
        if len(alike) > 1:
            return Slate(separator=separator, columns=alike)
    return None


def _size(cell: str | None, separator: str) -> int:
    return 0 if cell is None or not cell.strip("[] ") else cell.count(separator) + 1


def _check_lengths(table: StagedTable, slate: Slate, source: str) -> None:
    """UserError for a row whose lists differ in length, or for a column that is not there."""
    missing = [column for column in slate.columns if column not in table.columns]
    if missing:
        raise UserError(f"{table.place} has no column {missing[0]!r}, which the mapping's slate names")
    separator, first = sql_text(slate.separator), slate.columns[0]
    for column in slate.columns[1:]:
        sizes = [f"len(string_split({sql_name(name)}, {separator}))" for name in (column, first)]
        wrong = duckdb.execute(
            f"SELECT {ROW}, {', '.join(sizes)} FROM {source} WHERE {sizes[0]} IS DISTINCT FROM {sizes[1]} "
            f"ORDER BY {ROW} LIMIT 1"
        ).fetchone()
        if wrong:
            raise UserError(
                f"{table.place}, row {wrong[0]}: {column} has {wrong[1] or 0} elements where {first} has "
                f"{wrong[2] or 0}"
            )


def _of_lists(table: StagedTable, slate: Slate, source: str) -> str:
    parts = []
    for column in slate.columns:
        bare = f"regexp_replace({sql_name(column)}, '^\\s*\\[|\\]\\s*$', '', 'g')"
        cells = f"string_split({bare}, {sql_text(slate.separator)})"
        parts.append(f"trim({cells}[n], ' \"''') AS {sql_name(column)}")
    others = [sql_name(column) for column in table.columns if column not in slate.columns]
    first = sql_name(slate.columns[0])
    length = f"len(string_split({first}, {sql_text(slate.separator)}))"
    places = f"SELECT *, unnest(range(1, {length} + 1)) AS n FROM {source} WHERE nullif(trim({first}), '') IS NOT NULL"
    shown = ", ".join([ROW, *others, *parts, f"CAST(n AS VARCHAR) AS {ELEMENT}"])
    return f"SELECT {shown} FROM ({places}) ORDER BY {ROW}, n"


def _of_numbers(table: StagedTable, slate: Slate, source: str) -> str:
    numbered = _numbered(table.columns)
    wide = {column for stem in slate.numbered for column in numbered.get(stem, {}).values()}
    others = [sql_name(column) for column in table.columns if column not in wide]
    first = slate.numbered[0]
    queries = []
    for number in sorted(numbered.get(first, {})):
        parts = [f"{sql_name(numbered[stem][number])} AS {sql_name(stem.rstrip(' _.-'))}" for stem in slate.numbered]
        shown = ", ".join([ROW, *others, *parts, f"'{number}' AS {ELEMENT}"])
        queries.append(
            f"SELECT {shown} FROM {source} WHERE nullif(trim({sql_name(numbered[first][number])}), '') IS NOT NULL"
        )
    return f"SELECT * FROM ({' UNION ALL '.join(queries)}) ORDER BY {ROW}, CAST({ELEMENT} AS INTEGER)"
