"""Tables, JSON, text and bytes <-> files on local folders and fsspec URLs; every write is whole or absent.

Reading trusts nothing: a missing, empty, truncated or foreign file, a missing column and a wrong type are each one
UserError that names table and file. Rules on values are validation's work.
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
from components.contract.files.atomic_files import FILE, hidden_name, hold, sync_folder
from components.contract.files.decoded_size import check_parquet
from components.contract.files.late_rows import known_by
from components.contract.files.settlements import COLUMNS as SETTLED
from components.contract.files.settlements import apply_settlement, is_settlement
from components.contract.schema import TABLES
from components.settings.errors import UserError, first_line

MAGIC = b"PAR1"  # the first and the last four bytes of every Parquet file


def read_table(
    folder: UPath, name: str, columns: Iterable[str] | None = None, as_of: datetime | None = None
) -> pd.DataFrame:
    """Contract table `name` of the data set in `folder`: `<name>.parquet`, or all `<name>/day=*/*.parquet` in order.

    `columns` limits what is read; without it all declared columns are there, and others come along. A column that may
    be null and that the files lack is all null; any other one that they lack is an error. Conversions
    that were settled later (settlements.py) are filled in. Rows with a time stand in its order, those that came late
    (late_rows.py) too, and rows of one moment as in the files; those that came after `as_of` are not there.
    """
    declared = TABLES[name]
    wanted = None if columns is None else list(columns)
    every = [file for file in _table_files(UPath(folder), name) if known_by(file.name, as_of)]
    late = [file for file in every if is_settlement(file.name, name)]
    files = [file for file in every if file not in late]
    timed = declared.column("timestamp") is not None
    extra = [*(SETTLED if late else ()), *(("timestamp",) if timed else ())]
    needed = None if wanted is None else list(dict.fromkeys([*wanted, *extra]))
    pieces = [conform(read_parquet(file, name, needed), declared, str(file), needed) for file in files]
    table = _joined(pieces, files, name)
    if table.num_rows == 0:
        raise UserError(f"{name}: no rows in {', '.join(str(file) for file in files)}; leave an optional table away")
    frame = to_pandas(table if needed is None else table.select(needed), declared)
    for file in late:
        known = conform(read_parquet(file, name, list(SETTLED)), declared, str(file), SETTLED, fill=False)
        frame = apply_settlement(frame, to_pandas(known, declared), str(file))
    if timed and not frame["timestamp"].is_monotonic_increasing:
        frame = frame.sort_values("timestamp", kind="stable", ignore_index=True)
    return frame if wanted is None else frame[wanted]


def read_frame(path: UPath, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Any Parquet file that Adloom wrote, as a DataFrame (columns as they are; integers with nulls as `Int64`)."""
    path = UPath(path)
    if not path.is_file():
        raise UserError(f"{path.stem}: no file {path}")
    return to_pandas(read_parquet(path, path.stem, None if columns is None else list(columns)))


def has_table(folder: UPath, name: str) -> bool:
    """Whether `folder` holds something under the name of table `name`, right or wrong (a CSV counts)."""
    folder = UPath(folder)
    return any((folder / f"{name}{ending}").exists() for ending in (".parquet", "", ".csv"))


def write_table(table: pd.DataFrame | pa.Table, path: UPath) -> None:
    """`table` -> one zstd Parquet file at `path`, whole or absent; equal tables give equal bytes. Drops the index."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    with _replacing(path) as file:
        # pandas' own metadata names library versions and nothing that a reader here needs. A column that was read from
        # several files is in pieces, and the pages of the new file would end with them.
        pq.write_table(table.replace_schema_metadata(None).combine_chunks(), file, compression="zstd")


def write_batches(batches: Iterable[pa.Table], path: UPath) -> int:
    """`batches` -> one zstd Parquet file at `path`, whole or absent, one in memory; no rows, no file. Their number."""
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


def write_json(value: Any, path: UPath) -> None:
    """`value` -> JSON with sorted keys; NaN and Infinity are a ValueError, for JSON has neither."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, indent=2, ensure_ascii=False, default=_plain)
    write_text(text + "\n", path)


def read_json(path: UPath) -> Any:
    """What the JSON file at `path` holds; UserError where there is none or it is not JSON."""
    try:
        return json.loads(UPath(path).read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None


def write_text(text: str, path: UPath) -> None:
    """`text` -> a UTF-8 file at `path`, whole or absent."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(content: bytes, path: UPath) -> None:
    """`content` -> a file at `path`, whole or absent."""
    with _replacing(path) as file:
        file.write(content)


def remove_file(path: UPath) -> None:
    """Delete the file at `path`, where there is one, before anything that is written afterwards."""
    path = UPath(path)
    path.unlink(missing_ok=True)
    if path.protocol in ("", "file", "local") and path.parent.is_dir():
        sync_folder(path.parent.path)


@contextmanager
def _replacing(path: UPath) -> Iterator[BinaryIO]:
    """A file to write to that takes the name `path` only once all of it is safely stored.

    Locally: a hidden neighbour, held while it is written, fsync, rename, fsync of the folder. Object stores publish an
    upload when it is complete, but fsspec also "completes" a file closed by an exception, so there the bytes are sent
    in one call.
    """
    path = UPath(path)
    if path.protocol not in ("", "file", "local"):
        buffer = BytesIO()
        yield buffer
        path.fs.makedirs(path.parent.path, exist_ok=True)
        path.fs.pipe_file(path.path, buffer.getvalue())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / hidden_name(path.name, FILE)
    try:
        with open(temporary.path, "wb") as file:
            hold(file.fileno())
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
    raise TypeError(f"{type(value).__name__} has no form in JSON: {value!r}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _table_files(folder: UPath, name: str) -> list[UPath]:
    """The Parquet files of table `name`, sorted; UserError where there is none or it is not clear which."""
    single, parts = folder / f"{name}.parquet", folder / name
    if single.is_file() and parts.is_dir():
        raise UserError(f"{name}: both {single} and {parts}/ are there; keep one")
    if single.is_file():
        return [single]
    if parts.is_dir():
        return _partition_files(parts, name)
    foreign = sorted(path for path in (folder.glob(f"{name}.*") if folder.is_dir() else ()) if path != single)
    if foreign:
        raise UserError(f"{name}: found {foreign[0]} where Parquet is due ({single})")
    needed = "the data set cannot do without it" if TABLES[name].needed else "the table is optional"
    raise UserError(f"{name}: no file {single} and no folder {parts}/; {needed}")


def _partition_files(parts: UPath, name: str) -> list[UPath]:
    files = sorted(
        (path for path in parts.rglob("*") if path.is_file() and not path.name.startswith((".", "_"))), key=str
    )
    for file in files:
        if not file.name.endswith(".parquet"):
            raise UserError(f"{name}: found {file} where Parquet is due")
        if file.parent.parent != parts or not _is_day(file.parent.name):
            raise UserError(f"{name}: {file} is not in a folder {parts}/day=YYYY-MM-DD/")
    if not any(not is_settlement(file.name, name) for file in files):
        raise UserError(f"{name}: no Parquet file in {parts}/")
    return files


def _joined(pieces: list[pa.Table], files: list[UPath], name: str) -> pa.Table:
    """The rows of all pieces; UserError where a column of the user's own changes its type from file to file."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return pa.concat_tables(pieces, promote_options="permissive")
    except pa.ArrowException as error:
        clash = _differing_types(pieces, files) or first_line(error)
        raise UserError(f"{name}: its files do not fit together: {clash}; a column has one type in all files") from None


def _differing_types(pieces: list[pa.Table], files: list[UPath]) -> str:
    """The columns that have several types, each with the first file that has it."""
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


def read_parquet(path: UPath, name: str, columns: list[str] | None) -> pa.Table:
    """All rows of the file at `path`, whose bytes are first seen to be a whole Parquet file."""
    with path.open("rb") as file:
        _check_whole(file, path, name)
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)  # where the writer made checksums
            check_parquet(parquet, file, f"{name}: {path}", columns)
            present = parquet.schema_arrow.names
            if len(set(present)) < len(present):
                raise UserError(f"{name}: {path} has two columns of one name")
            kept = None if columns is None else [column for column in columns if column in present]
            table = parquet.read(columns=kept).replace_schema_metadata(None)
            table.validate(full=True)  # else text that is no text raises wherever it is first looked at
            _ = [kind.tz for kind in table.schema.types if pa.types.is_timestamp(kind)]  # which validate leaves out
            return table
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{name}: {path} is damaged and cannot be read: {first_line(error)}") from None


def _check_whole(file: BinaryIO, path: UPath, name: str) -> None:
    head = file.read(len(MAGIC))
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise UserError(f"{name}: {path} is empty (0 bytes)")
    if head != MAGIC:
        raise UserError(f"{name}: {path} is not a Parquet file (it begins with {head!r}); Parquet is due")
    file.seek(-min(size, len(MAGIC)), os.SEEK_END)
    if size < 12 or file.read(len(MAGIC)) != MAGIC:
        raise UserError(f"{name}: {path} is truncated ({size} bytes, no Parquet footer)")
    file.seek(0)
