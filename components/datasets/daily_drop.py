"""A folder into which a shop drops Parquet or CSV files day by day -> a source of rows.

The table and the day stand in a file's path below the folder: `impressions/2026-03-01.csv`,
`2026-03-01/impressions.parquet` and `impressions_2026-03-01.csv` are one file in three forms. A file of a day has what
became known on that day: rows of that day, rows of earlier days that came late, and rows again that have changed, such
as impressions that were converted since; of rows with one key the last one counts. A file without a day has a whole
table. Once the file of a day's impressions is there, that day is whole: write it aside and rename it into place.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.csv
from upath import UPath

from components.contract.files.tables import read_parquet
from components.contract.schema import ARROW, TABLES, Column, Table
from components.datasets.table_source import DAY, TableSnapshot, earliest
from components.settings.environment import expand
from components.settings.errors import UserError, first_line
from components.settings.sections import SourceConfig

DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
ZONE = r"(?:Z|z|[+-]\d{2}:?\d{2})$"
HELD = 6  # tables of files that are kept in memory for the next question


@dataclass(frozen=True)
class DropFile:
    """One file: the table that it is of, and the day on which its rows became known; None: it has the whole table."""

    path: Path
    table: str
    day: date | None


class DailyDrop(TableSnapshot):
    """The files of a folder as they were when it was opened."""

    def __init__(self, folder: Path, config: SourceConfig) -> None:
        files = drop_files(folder)
        super().__init__(list(files), config, str(folder))
        self.files = files
        self.file = lru_cache(maxsize=HELD)(lambda drop: _read(drop, config.naive_times == "utc"))

    def read(self, name: str, begin: datetime | None, end: datetime | None) -> pa.Table:
        """The files whose rows may lie between the times: of those days, and `late_days` more for what came late."""
        first = date.min if begin is None else begin.date()
        last = date.max if end is None else (end + self.config.late_days * DAY).date()
        oldest = min((drop.day for drop in self.files[name] if drop.day), default=None)  # may have a history
        chosen = [drop for drop in self.files[name] if drop.day in (None, oldest) or first <= drop.day <= last]
        tables = [self.file(drop) for drop in chosen]
        if not tables:
            return self.file(self.files[name][0]).slice(0, 0)
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise UserError(f"{name}: the types of {self.place} change between days: {first_line(error)}") from None

    def begins(self) -> datetime | None:
        """The first time in the files of the first days' impressions, or in those without a day."""
        first = min((drop.day for drop in self.files["impressions"] if drop.day), default=date.min)
        rows = self.rows("impressions", None, datetime(first.year, first.month, first.day, tzinfo=UTC))
        return earliest(rows)

    def known_until(self) -> datetime | None:
        """The end of the last day whose impressions are there; without days as for any table."""
        last = max((drop.day for drop in self.files["impressions"] if drop.day), default=None)
        if last is None:
            return super().known_until()
        return datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def place(config: SourceConfig) -> str:
    """The folder's URL, for the data set's card."""
    return f"file://{_folder(config)}"


@contextmanager
def snapshot(config: SourceConfig) -> Iterator[DailyDrop]:
    """The folder's files as they are now; UserError where there is no such folder."""
    folder = _folder(config)
    if not folder.is_dir():
        raise UserError(f"source.url: there is no folder {folder}")
    yield DailyDrop(folder, config)


def drop_files(folder: Path) -> Mapping[str, Sequence[DropFile]]:
    """Table -> its files, those without a day first, then by day."""
    found: dict[str, list[DropFile]] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if not path.is_file() or path.suffix not in (".csv", ".parquet") or below.name[0] in "._":
            continue
        drop = _drop_file(path, below)
        if drop is not None:
            found.setdefault(drop.table, []).append(drop)
    return {
        name: sorted(files, key=lambda drop: (drop.day or date.min, str(drop.path))) for name, files in found.items()
    }


def _drop_file(path: Path, below: Path) -> DropFile | None:
    """What the path says of a file; None where it names no table of the contract."""
    text = below.with_suffix("").as_posix()
    days = set(DATE.findall(text))
    if len(days) > 1:
        raise UserError(f"{path}: its path names the days {' and '.join(sorted(days))}; one is due")
    words = [re.sub(r"^(day=)?|[-_.\s]+$|^[-_.\s]+", "", DATE.sub("", part)) for part in text.split("/")]
    table = next((word for word in words if word in TABLES), None)
    try:
        day = date.fromisoformat(days.pop()) if days else None
    except ValueError as error:
        raise UserError(f"{path}: its path names no day: {error}") from None
    return None if table is None else DropFile(path, table, day)


def _folder(config: SourceConfig) -> Path:
    text = expand(config.url)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise UserError(f"source.url: {text} names the machine {parts.netloc}; a folder of this machine is due")
    return Path(unquote(parts.path) if parts.scheme == "file" else text).expanduser().absolute()


def _read(drop: DropFile, naive_utc: bool) -> pa.Table:
    declared = TABLES[drop.table]
    if drop.path.suffix == ".csv":
        return _read_csv(drop.path, declared, naive_utc)
    table = read_parquet(UPath(drop.path), drop.table, None)
    for place_in_table, field in enumerate(table.schema):
        if naive_utc and pa.types.is_timestamp(field.type) and field.type.tz is None:
            zoned = table[field.name].cast(ARROW["timestamp"], safe=False)  # the same digits, in UTC
            table = table.set_column(place_in_table, field.name, zoned)
    return table


def _read_csv(path: Path, declared: Table, naive_utc: bool) -> pa.Table:
    """A CSV in UTF-8 with a header; an empty cell is null, times are ISO 8601."""
    for column in declared.columns:
        if column.kind == "bytes" and not column.nullable:
            raise UserError(f"{declared.name}: {path} is a CSV, which holds no pictures; Parquet is due")
    as_text = {"timestamp", "text"}
    types = {column.name: pa.string() if column.kind in as_text else ARROW[column.kind] for column in declared.columns}
    options = pa.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    try:
        table = pa.csv.read_csv(
            path, convert_options=options, parse_options=pa.csv.ParseOptions(newlines_in_values=True)
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise UserError(f"{declared.name}: {path}: {first_line(error)}") from None
    for column in declared.columns:
        if column.kind == "timestamp" and column.name in table.column_names:
            times = _times(table[column.name], column, f"{declared.name}.{column.name}", path, naive_utc)
            table = table.set_column(table.column_names.index(column.name), column.name, times)
    return table


def _times(texts: pa.ChunkedArray, column: Column, name: str, path: Path, naive_utc: bool) -> pa.Array:
    values = texts.to_pandas().astype("str")
    known = values.dropna()
    naive = known[~known.str.strip().str.contains(ZONE)]
    if len(naive) and not naive_utc:
        raise UserError(
            f"{name}: times without a zone in {path}, such as {naive.iloc[0]!r}; `naive_times: utc` takes them for UTC"
        )
    try:
        times = pd.to_datetime(values, utc=True, format="ISO8601")
    except ValueError:
        wrong = next(
            text for text in known if pd.isna(pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce"))
        )
        raise UserError(f"{name}: {wrong!r} in {path}; times as 2026-03-01T12:00:00Z are due") from None
    return pa.array(times.astype("datetime64[us, UTC]"), ARROW[column.kind], from_pandas=True)
