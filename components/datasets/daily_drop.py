"""A source of rows: a folder to which a shop adds Parquet or CSV files every day.

A file's path below the folder names its table and its day: `impressions/2026-03-01.csv`,
`2026-03-01/impressions.parquet` and `impressions_2026-03-01.csv` are read alike. The file of a day has the rows that
became known on that day: rows of the day, late rows of earlier days, and changed rows, such as impressions that have
been converted since. Of rows with equal keys the last one counts. A file without a day has a whole table. A day is
complete once its file of impressions exists, so write that file under another name first and then rename it.
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
CACHED_FILES = 6  # whose tables stay in memory between queries


@dataclass(frozen=True)
class DropFile:
    """One file: its table, and the day on which its rows became known; None: it has the whole table."""

    path: Path
    table: str
    day: date | None


class DailyDrop(TableSnapshot):
    """A snapshot of the files in a folder when it was opened."""

    def __init__(self, folder: Path, config: SourceConfig) -> None:
        files = drop_files(folder)
        super().__init__(list(files), config, str(folder))
        self.files = files
        self.file = lru_cache(maxsize=CACHED_FILES)(lambda drop: _read(drop, config.naive_times == "utc"))

    def read(self, name: str, begin: datetime | None, end: datetime | None) -> pa.Table:
        """The rows of the files that may have rows in [begin, end): those of its days and of `late_days` more."""
        first = date.min if begin is None else begin.date()
        last = date.max if end is None else (end + self.config.late_days * DAY).date()
        oldest = min((drop.day for drop in self.files[name] if drop.day), default=None)  # may have earlier rows
        chosen = [drop for drop in self.files[name] if drop.day in (None, oldest) or first <= drop.day <= last]
        tables = [self.file(drop) for drop in chosen]
        if not tables:
            return self.file(self.files[name][0]).slice(0, 0)
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise UserError(f"{name}: the types of {self.place} change between days: {first_line(error)}") from None

    def first_time(self) -> datetime | None:
        """The first time in the impressions of the first days' files, or of those without a day."""
        first = min((drop.day for drop in self.files["impressions"] if drop.day), default=date.min)
        rows = self.rows("impressions", None, datetime(first.year, first.month, first.day, tzinfo=UTC))
        return earliest(rows)

    def complete_until(self) -> datetime | None:
        """The end of the last day with a file of impressions; without such files as for any table."""
        last = max((drop.day for drop in self.files["impressions"] if drop.day), default=None)
        if last is None:
            return super().complete_until()
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
    """Table -> its files in `folder`, those without a day first, then by day."""
    by_table: dict[str, list[DropFile]] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if not path.is_file() or path.suffix not in (".csv", ".parquet") or below.name[0] in "._":
            continue
        drop = _drop_file(path, below)
        if drop is not None:
            by_table.setdefault(drop.table, []).append(drop)
    return {
        name: sorted(files, key=lambda drop: (drop.day or date.min, str(drop.path))) for name, files in by_table.items()
    }


def _drop_file(path: Path, below: Path) -> DropFile | None:
    """Table and day of the file at `path`, which is `below` the folder; None if the path names no contract table."""
    text = below.with_suffix("").as_posix()
    days = set(DATE.findall(text))
    if len(days) > 1:
        raise UserError(f"{path}: its path names the days {' and '.join(sorted(days))}; name one")
    words = [re.sub(r"^(day=)?|[-_.\s]+$|^[-_.\s]+", "", DATE.sub("", part)) for part in text.split("/")]
    table = next((word for word in words if word in TABLES), None)
    try:
        day = date.fromisoformat(days.pop()) if days else None
    except ValueError as error:
        raise UserError(f"{path}: its path names a day that does not exist: {error}") from None
    return None if table is None else DropFile(path, table, day)


def _folder(config: SourceConfig) -> Path:
    text = expand(config.url)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise UserError(f"source.url: {text} names the machine {parts.netloc}; write a folder of this machine")
    return Path(unquote(parts.path) if parts.scheme == "file" else text).expanduser().absolute()


def _read(drop: DropFile, naive_utc: bool) -> pa.Table:
    declared = TABLES[drop.table]
    if drop.path.suffix == ".csv":
        return _read_csv(drop.path, declared, naive_utc)
    table = read_parquet(UPath(drop.path), drop.table, None)
    for place_in_table, field in enumerate(table.schema):
        if naive_utc and pa.types.is_timestamp(field.type) and field.type.tz is None:
            zoned = table[field.name].cast(ARROW["timestamp"], safe=False)  # the same clock time, in UTC
            table = table.set_column(place_in_table, field.name, zoned)
    return table


def _read_csv(path: Path, declared: Table, naive_utc: bool) -> pa.Table:
    """The table in a UTF-8 CSV file with a header, in the contract's types; empty cells are null, times ISO 8601."""
    for column in declared.columns:
        if column.kind == "bytes" and not column.nullable:
            raise UserError(f"{declared.name}: {path} is a CSV, which cannot hold images; write Parquet")
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
            f"{name}: times without a zone in {path}, such as {naive.iloc[0]!r}; `naive_times: utc` reads them as UTC"
        )
    try:
        times = pd.to_datetime(values, utc=True, format="ISO8601")
    except ValueError:
        wrong = next(
            text for text in known if pd.isna(pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce"))
        )
        raise UserError(f"{name}: {wrong!r} in {path}; expected times such as 2026-03-01T12:00:00Z") from None
    return pa.array(times.astype("datetime64[us, UTC]"), ARROW[column.kind], from_pandas=True)
