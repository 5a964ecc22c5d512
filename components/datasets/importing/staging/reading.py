"""A file of a shop -> one Parquet file of texts for each table in it, a batch of rows in memory at a time.

Cells stay as they are written, so that no id loses a digit. Times, numbers and flags of typed files (Parquet, Excel,
JSON) become texts that lose nothing; pictures stay bytes. The column `_row` numbers the rows as the file does.
"""

import gzip
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import file_digest
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from components.datasets.importing.mapping import Slate
from components.datasets.importing.staging.delimited_text import Cells, Skipped, delimiter_of, read_delimited
from components.datasets.importing.staging.encodings import LEGACY, encoding_of
from components.datasets.importing.staging.typed_files import excel_tables, flat_records, parquet_batches, records_of
from components.settings.errors import UserError, first_line

ROW = "_row"
BATCH = 20_000  # rows
KINDS = {  # first bytes -> what a file is that holds no table for us
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\xd0\xcf\x11\xe0": "an Excel file of before 2007 (.xls); save it as .xlsx or CSV",
    b"SQLite format 3": "a SQLite database; `adloom data pull` reads those",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x28\xb5\x2f\xfd": "a file compressed with zstd; unpack it first",
    b"BZh": "a file compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "a file compressed with xz; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
}


@dataclass(frozen=True)
class StagedTable:
    """A table as texts: file and sheet that it comes from, the Parquet file, its columns, rows, and what was skipped.

    digest: SHA-256 of the file's bytes. notes: in words, such as `2 total rows`.
    """

    file: Path
    sheet: str | None
    parquet: Path
    columns: tuple[str, ...]
    rows: int
    digest: str
    notes: tuple[str, ...] = ()
    slate: Slate | None = None  # how its rows held several creatives before they were unfolded

    @property
    def place(self) -> str:
        """What messages call it."""
        return f"{self.file.name}, sheet {self.sheet}" if self.sheet else self.file.name


def read_file(path: Path, folder: Path, encoding: str | None = None, delimiter: str | None = None) -> list[StagedTable]:
    """The tables in the file at `path`, as Parquet files in `folder`; UserError where it is no file of tables.

    encoding, delimiter: of a text; None: they are found. UserError where the file changes while it is read.
    """
    before = _state(path)
    if before[0] == 0:
        raise UserError(f"{path}: the file is empty (0 bytes)")
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    tables = _tables(path, folder, digest, encoding, delimiter)
    if _state(path) != before:
        raise UserError(f"{path}: the file changed while it was read; import a copy that nothing writes to")
    for table in tables:
        if table.rows == 0:
            raise UserError(f"{table.place}: it has a header and no rows")
    return tables


def _state(path: Path) -> tuple[int, int]:
    try:
        if not path.is_file():
            raise UserError(f"{path}: there is no such file")
        known = os.stat(path)
    except OSError as error:
        raise UserError(f"{path}: it cannot be read: {error.strerror}") from None
    return known.st_size, known.st_mtime_ns


def _tables(path: Path, folder: Path, digest: str, encoding: str | None, delimiter: str | None) -> list[StagedTable]:
    staged = _Stage(path, folder, digest)
    opened = _opener(path)
    try:
        with opened() as stream:
            head = stream.read(1024)
        _refuse_foreign(head, path)
        if head.startswith(b"PAR1"):
            return [staged.batches(parquet_batches(path))]
        if head.startswith(b"PK\x03\x04"):
            return _workbook(staged, path)
        encoding = encoding or encoding_of(opened, path.name)
        with _text(opened, encoding) as text:
            first = text.read(1024).lstrip()[:1]
        if first in ("{", "["):
            return _json(staged, opened, encoding, path)
        if not delimiter:
            with _text(opened, encoding) as text:
                delimiter = delimiter_of(text, path.name)
        with _text(opened, encoding) as text:
            table = read_delimited(text, delimiter, path.name)
            read = staged.cells(table.header, table.rows, table.skipped)
            note = (f"read as {LEGACY[encoding]}: look at its letters",) if encoding in LEGACY else ()
            return [replace(read, notes=(*read.notes, *note))]
    except (EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path.name}: the gzip file is damaged or cut off: {first_line(error)}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: it holds bytes that are not {error.encoding}") from None
    except LookupError as error:
        raise UserError(f"{path.name}: encoding: {first_line(error)}") from None
    except OSError as error:
        raise UserError(f"{path}: it cannot be read: {error.strerror or first_line(error)}") from None


def _workbook(staged: "_Stage", path: Path) -> list[StagedTable]:
    left_out: list[str] = []
    tables = [
        staged.cells(table.header, table.rows, table.skipped, sheet) for sheet, table in excel_tables(path, left_out)
    ]
    note = (f"sheets without a table are left out: {', '.join(left_out)}",) if left_out else ()
    return [replace(table, notes=(*table.notes, *note)) for table in tables[:1]] + tables[1:]


def _opener(path: Path) -> Callable[[], BinaryIO]:
    """A function that opens the file's bytes, unpacked where it is a gzip file."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return lambda: gzip.open(path, "rb") if packed else path.open("rb")


def _text(opened: Callable[[], BinaryIO], encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(opened(), encoding=encoding, newline="")


def _refuse_foreign(head: bytes, path: Path) -> None:
    kind = next((kind for magic, kind in KINDS.items() if head.startswith(magic)), None)
    if kind is None and head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        kind = "a page of HTML or XML, whatever its name; save it as .xlsx or CSV"
    if kind is None and head[257:262] == b"ustar":
        kind = "a tar archive; unpack it first"
    if kind is None and not head:
        kind = "empty"
    if kind is not None:
        raise UserError(f"{path.name}: this is {kind}")


def _json(staged: "_Stage", opened: Callable[[], BinaryIO], encoding: str, path: Path) -> list[StagedTable]:
    """Records of JSON, read twice: for their names, then for their values."""
    names: dict[str, None] = {}
    with _text(opened, encoding) as text:
        for _, record in flat_records(records_of(text, path.name), path.name):
            names.update(dict.fromkeys(record))
    with _text(opened, encoding) as text:
        records = flat_records(records_of(text, path.name), path.name)
        rows = ((number, [record.get(name) for name in names]) for number, record in records)
        return [staged.cells(tuple(names), rows, Skipped())]


@dataclass(frozen=True)
class _Stage:
    """Writes the tables of one file."""

    path: Path
    folder: Path
    digest: str

    def cells(
        self, header: Sequence[str], rows: Iterator[tuple[int, Cells]], skipped: Skipped, sheet: str | None = None
    ) -> StagedTable:
        """A table of texts, given row by row."""
        schema = pa.schema([(ROW, pa.int64()), *((name, pa.large_string()) for name in header)])
        batches = (_batch(part, schema) for part in _parts(rows))
        target, count = self._write(batches, schema)
        return StagedTable(self.path, sheet, target, tuple(header), count, self.digest, skipped.words())

    def batches(self, parts: Iterable[pa.Table]) -> StagedTable:
        """A table that is in batches already; they have one schema."""
        rest = iter(parts)
        first = next(rest)
        schema = pa.schema([(ROW, pa.int64()), *first.schema])
        target, count = self._write(_numbered(first, rest, schema), schema)
        return StagedTable(self.path, None, target, tuple(first.column_names), count, self.digest)

    def _write(self, batches: Iterable[pa.Table], schema: pa.Schema) -> tuple[Path, int]:
        target, count = self.folder / f"staged-{len(list(self.folder.glob('staged-*')))}.parquet", 0
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_table(batch)
                count += batch.num_rows
        return target, count


def _parts(rows: Iterator[tuple[int, Cells]]) -> Iterator[list[tuple[int, Cells]]]:
    while part := list(islice(rows, BATCH)):
        yield part


def _batch(part: Sequence[tuple[int, Cells]], schema: pa.Schema) -> pa.Table:
    columns = zip(*((number, *cells) for number, cells in part), strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _numbered(first: pa.Table, rest: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    start = 1
    for part in chain([first], rest):
        yield _with_numbers(part, start, schema)
        start += part.num_rows


def _with_numbers(part: pa.Table, start: int, schema: pa.Schema) -> pa.Table:
    numbers = pa.array(range(start, start + part.num_rows), pa.int64())
    return pa.Table.from_arrays([numbers, *part.columns], schema=schema)
