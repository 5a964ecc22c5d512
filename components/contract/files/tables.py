"""Read and write tables, JSON, text and bytes in local folders and at fsspec URLs; every write is atomic.

A missing, empty, truncated or foreign file, a missing column and a wrong type are each one UserError that names table
and file. Validation checks the values.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from components.contract.conform import conform, to_pandas
from components.contract.files.atomic_files import PARTIAL_FILE, hidden_name, sync_folder, try_lock
from components.contract.files.decoded_size import check_parquet
from components.contract.files.late_rows import available_at
from components.contract.files.lenient_types import ADVICE, unambiguous
from components.contract.files.settlements import SETTLEMENT_COLUMNS, apply_settlement, is_settlement
from components.contract.schema import TABLES
from components.settings.errors import UserError, first_line

ROW_GROUP = 1 << 20  # rows of a row group in the files that Adloom writes
MAGIC = b"PAR1"  # the first and the last four bytes of every Parquet file


def read_table(
    folder: UPath, name: str, columns: Iterable[str] | None = None, as_of: datetime | None = None
) -> pd.DataFrame:
    """Contract table `name` of the data set in `folder`: `<name>.parquet`, or all `<name>/day=*/*.parquet`.

    columns: what to read; None: all columns of the files and all declared ones. A missing column that may be null is
    all null; any other missing column is a UserError. Later conversions (settlements.py) are filled in. A table with
    timestamps is sorted by them, late rows (late_rows.py) included; rows with equal timestamps keep the order of the
    files. Rows that became known after `as_of` are left out.
    """
    declared = TABLES[name]
    selected = None if columns is None else list(columns)
    available = [file for file in files_of(UPath(folder), name) if available_at(file.name, as_of)]
    settlements = [file for file in available if is_settlement(file.name, name)]
    files = [file for file in available if file not in settlements]
    timed = declared.column("timestamp") is not None
    extra = [*(SETTLEMENT_COLUMNS if settlements else ()), *(("timestamp",) if timed else ())]
    needed = None if selected is None else list(dict.fromkeys([*selected, *extra]))
    frame = to_pandas(_stored_rows(files, name, needed), declared)
    for file in settlements:
        stored = read_parquet(file, name, list(SETTLEMENT_COLUMNS))
        settled = conform(stored, declared, str(file), SETTLEMENT_COLUMNS, fill=False)
        frame = apply_settlement(frame, to_pandas(settled, declared), str(file))
    if timed and not frame["timestamp"].is_monotonic_increasing:
        frame = frame.sort_values("timestamp", kind="stable", ignore_index=True)
    return frame if selected is None else frame[selected]


def _stored_rows(files: list[UPath], name: str, needed: list[str] | None) -> pa.Table:
    """The rows of all `files` in the contract's types, with the columns `needed`; UserError if there are none."""
    table = _joined([_piece(file, name, needed) for file in files], files, name)
    if table.num_rows == 0:
        raise UserError(f"{name}: no rows in {', '.join(str(file) for file in files)}; leave out an optional table")
    return table if needed is None else table.select(needed)


def _piece(file: UPath, name: str, needed: list[str] | None) -> pa.Table:
    """The rows of one file in the contract's types; UserError, with advice, if a type could mean two things."""
    stored = [unambiguous(read_parquet(file, name, needed), TABLES[name])]
    try:
        return conform(stored.pop(), TABLES[name], str(file), needed)  # which frees each column once it is cast
    except UserError as error:
        raise UserError(f"{error}; {ADVICE}") from None


def read_frame(path: UPath, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """The Parquet file at `path`, which Adloom wrote, as a DataFrame; integers with nulls are `Int64`."""
    path = UPath(path)
    if not path.is_file():
        raise UserError(f"{path.stem}: no file {path}")
    return to_pandas(read_parquet(path, path.stem, None if columns is None else list(columns)))


def read_coded(path: UPath, columns: Iterable[str], coded: Iterable[str]) -> pd.DataFrame:
    """`columns` of a contract table in one Parquet file that Adloom wrote; the texts `coded` as pandas categories.

    A category takes 1 to 4 bytes per row, a text 8 and its own length.
    """
    path = UPath(path)
    return to_pandas(read_parquet(path, path.stem, list(columns), list(coded)), TABLES[path.stem])


def has_table(folder: UPath, name: str) -> bool:
    """Whether `folder` has a file or folder for table `name`, valid or not (a CSV counts)."""
    folder = UPath(folder)
    return any((folder / f"{name}{ending}").exists() for ending in (".parquet", "", ".csv"))


def open_columns(folder: UPath, name: str) -> dict[str, str]:
    """The open columns in the first file of table `name` in `folder`, each with `text`, `number` or `flag`.

    Empty without such a table.
    """
    if not has_table(folder, name):
        return {}
    with files_of(UPath(folder), name)[0].open("rb") as file:
        schema = pq.read_schema(file)
    kinds = {}
    for field in schema:
        if TABLES[name].is_open(field.name):
            number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            kinds[field.name] = "flag" if pa.types.is_boolean(field.type) else "number" if number else "text"
    return kinds


def write_table(table: pd.DataFrame | pa.Table, path: UPath) -> None:
    """Write `table`, without its index, atomically as one zstd Parquet file; equal tables give equal bytes.

    One row group at a time is converted to Arrow.
    """
    schema = (table.schema if isinstance(table, pa.Table) else _schema_of(table)).remove_metadata()
    with _replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, max(len(table), 1), ROW_GROUP):
            writer.write_table(_row_group(table, start, schema), row_group_size=ROW_GROUP)


def _schema_of(table: pd.DataFrame) -> pa.Schema:
    """The Arrow types of the columns of `table`; of objects by all values, of others by their dtype."""
    objects = [name for name in table if table[name].dtype == object]
    typed = pa.Schema.from_pandas(table.head(0), preserve_index=False)
    for name in objects:
        field = pa.field(name, pa.array(table[name], from_pandas=True).type)
        typed = typed.set(typed.get_field_index(name), field)
    return typed


def _row_group(table: pd.DataFrame | pa.Table, start: int, schema: pa.Schema) -> pa.Table:
    """The rows from `start` on that make one row group, without metadata.

    The metadata of pandas names library versions, and the chunks of a column that was read from several files would
    end pages: both would change the bytes of equal tables.
    """
    if isinstance(table, pd.DataFrame):
        rows = pa.Table.from_pandas(table.iloc[start : start + ROW_GROUP], schema=schema, preserve_index=False)
    else:
        rows = table.slice(start, ROW_GROUP)
    return rows.replace_schema_metadata(None).combine_chunks()


def write_batches(batches: Iterable[pa.Table], path: UPath) -> int:
    """The number of rows of `batches`, written atomically as one zstd Parquet file; without a batch there is no file.

    One batch at a time is in memory.
    """
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        return 0
    rows = 0
    with _replacing(path) as file, pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        for batch in chain([first], rest):
            writer.write_table(batch)
            rows += batch.num_rows
    return rows


def row_groups(blocks: Iterable[pd.DataFrame]) -> Iterator[pa.Table]:
    """The rows of `blocks`, at least one, as tables of one row group each, with that and a block in memory.

    `write_batches` makes of them the file that `write_table` makes of all rows together.
    """
    waiting = None
    for block in blocks:
        rows = pa.Table.from_pandas(block, preserve_index=False).replace_schema_metadata(None)
        waiting = rows if waiting is None else pa.concat_tables([waiting, rows])
        while waiting.num_rows > ROW_GROUP:
            yield waiting.slice(0, ROW_GROUP).combine_chunks()
            waiting = waiting.slice(ROW_GROUP)
    if waiting is not None:
        yield waiting.combine_chunks()


def write_json(value: Any, path: UPath) -> None:
    """Write `value` atomically as JSON with sorted keys; ValueError for NaN and Infinity, which JSON lacks."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, indent=2, ensure_ascii=False, default=_plain)
    write_text(text + "\n", path)


def read_json(path: UPath) -> Any:
    """The value in the JSON file at `path`; UserError if there is no file or it is not JSON."""
    try:
        return json.loads(UPath(path).read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None


def files_in(folder: UPath) -> dict[str, bytes]:
    """The bytes of all files below `folder`, by relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_text(text: str, path: UPath) -> None:
    """Write `text` atomically as a UTF-8 file."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(content: bytes, path: UPath) -> None:
    """Write `content` atomically as a file."""
    with _replacing(path) as file:
        file.write(content)


def remove_file(path: UPath) -> None:
    """Delete the file at `path`, if there is one; on disk the deletion precedes all later writes."""
    path = UPath(path)
    path.unlink(missing_ok=True)
    if path.protocol in ("", "file", "local") and path.parent.is_dir():
        sync_folder(path.parent.path)


@contextmanager
def _replacing(path: UPath) -> Iterator[BinaryIO]:
    """An open file that gets the name `path` once all of it is stored.

    Locally: a hidden file in the same folder, locked while it is written, fsync, rename, fsync of the folder. Object
    stores publish an upload when it is complete, but fsspec also completes a file that an exception closed, so there
    the bytes are sent in one call.
    """
    path = UPath(path)
    if path.protocol not in ("", "file", "local"):
        buffer = BytesIO()
        yield buffer
        path.fs.makedirs(path.parent.path, exist_ok=True)
        path.fs.pipe_file(path.path, buffer.getvalue())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / hidden_name(path.name, PARTIAL_FILE)
    try:
        with open(temporary.path, "wb") as file:
            try_lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary.path, path.path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent.path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def files_of(folder: UPath, name: str) -> list[UPath]:
    """The Parquet files of table `name`, sorted; UserError if there are none, or both a file and a folder."""
    single, parts = folder / f"{name}.parquet", folder / name
    if single.is_file() and parts.is_dir():
        raise UserError(f"{name}: both {single} and {parts}/ exist; keep one")
    if single.is_file():
        return [single]
    if parts.is_dir():
        return _partition_files(parts, name)
    foreign = sorted(path for path in (folder.glob(f"{name}.*") if folder.is_dir() else ()) if path != single)
    if foreign:
        raise UserError(f"{name}: found {foreign[0]}; expected Parquet ({single}); {ADVICE}")
    needed = "every data set needs this table" if TABLES[name].needed else "the table is optional"
    raise UserError(f"{name}: no file {single} and no folder {parts}/; {needed}")


def _partition_files(parts: UPath, name: str) -> list[UPath]:
    files = sorted(
        (path for path in parts.rglob("*") if path.is_file() and not path.name.startswith((".", "_"))), key=str
    )
    for file in files:
        if not file.name.endswith(".parquet"):
            raise UserError(f"{name}: found {file}; expected Parquet; {ADVICE}")
        if file.parent.parent != parts or not _is_day(file.parent.name):
            raise UserError(f"{name}: {file} is not in a folder {parts}/day=YYYY-MM-DD/")
    if not any(not is_settlement(file.name, name) for file in files):
        raise UserError(f"{name}: no Parquet file in {parts}/")
    return files


def _joined(pieces: list[pa.Table], files: list[UPath], name: str) -> pa.Table:
    """The rows of all pieces; UserError if an open column has different types in different files."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return pa.concat_tables(pieces, promote_options="permissive")
    except pa.ArrowException as error:
        clash = _differing_types(pieces, files) or first_line(error)
        raise UserError(f"{name}: its files differ in type: {clash}; give the column one type in all files") from None


def _differing_types(pieces: list[pa.Table], files: list[UPath]) -> str:
    """A text that lists the columns with several types, and for each type the first file with it."""
    first: dict[str, dict[str, UPath]] = {}
    for piece, file in zip(pieces, files, strict=True):
        for field in piece.schema:
            first.setdefault(field.name, {}).setdefault(str(field.type).removeprefix("large_"), file)
    several = {column: types for column, types in first.items() if len(types) > 1}
    return "; ".join(
        f"{column} holds {' and '.join(f'{kind} in {file}' for kind, file in types.items())}"
        for column, types in several.items()
    )


def _is_day(folder_name: str) -> bool:
    label, _, day = folder_name.partition("=")
    try:
        return label == "day" and date.fromisoformat(day).isoformat() == day
    except ValueError:
        return False


def read_parquet(path: UPath, name: str, columns: list[str] | None, coded: list[str] | None = None) -> pa.Table:
    """All rows of the Parquet file at `path`, of table `name`; columns: those to read; None: all.

    coded: columns to read as dictionaries.

    UserError for a file that is not Parquet, truncated, damaged, or too large once decoded.
    """
    with path.open("rb") as file:
        _check_whole(file, path, name)
        try:
            # checksums are verified if the writer stored them
            parquet = pq.ParquetFile(file, page_checksum_verification=True, read_dictionary=coded)
            check_parquet(parquet, file, f"{name}: {path}", columns)
            present = parquet.schema_arrow.names
            if len(set(present)) < len(present):
                raise UserError(f"{name}: {path} has two columns of one name")
            selected = None if columns is None else [column for column in columns if column in present]
            table = parquet.read(columns=selected).replace_schema_metadata(None)
            table.validate(full=True)  # else text that is not UTF-8 would raise later, at its first use
            _ = [
                kind.tz for kind in table.schema.types if pa.types.is_timestamp(kind)
            ]  # zones, not checked by validate
            return table
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{name}: {path} is damaged and cannot be read: {first_line(error)}") from None


def _check_whole(file: BinaryIO, path: UPath, name: str) -> None:
    head = file.read(len(MAGIC))
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise UserError(f"{name}: {path} is empty (0 bytes)")
    if head != MAGIC:
        raise UserError(f"{name}: {path} is not a Parquet file (it begins with {head!r}); {ADVICE}")
    file.seek(-min(size, len(MAGIC)), os.SEEK_END)
    if size < 12 or file.read(len(MAGIC)) != MAGIC:
        raise UserError(f"{name}: {path} is truncated ({size} bytes, no Parquet footer)")
    file.seek(0)
