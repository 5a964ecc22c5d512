"""The decoded size of a file, computed before it is decoded, so that a small file cannot fill a machine's memory.

A file may take the GiB of memory that the environment variable ADLOOM_MAX_DECODED_GIB names, or GROWTH times its stored
size, whichever is more. The sizes are in the footer of a Parquet file and in the directory of an archive; a network's
weights are counted without allocating them.
"""

import atexit
import functools
import io
import json
import os
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.settings.errors import UserError, first_line

if TYPE_CHECKING:
    import duckdb

LIMIT_VARIABLE = "ADLOOM_MAX_DECODED_GIB"  # environment variable
DEFAULT_GIB = 1.0
GROWTH = 50  # logs of real shops become 3 to 15 times as large
WEIGHTS, CONFIG = "model.weights.h5", "config.json"  # members of a .keras archive
KERAS_UNINITIALIZED = "uninitialized_variables"  # Keras's global list of variables without values
GIB = 2**30
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_MAGIC = b"PAR1"  # the first and the last four bytes of every Parquet file


def limit_gib() -> float:
    """The limit in GiB from the environment, or its default; UserError if it is not a positive number."""
    text = os.environ.get(LIMIT_VARIABLE, "") or str(DEFAULT_GIB)
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 < limit < float("inf"):
        raise UserError(f"the environment variable {LIMIT_VARIABLE} is {text!r}; set it to a number of GiB above 0")
    return limit


def check_growth(decoded: int, stored: int, what: str) -> None:
    """UserError if `what`, of `stored` bytes, exceeds the limit with `decoded` bytes in memory."""
    limit = limit_gib()
    if decoded > max(limit * GIB, GROWTH * stored):
        times = decoded / max(stored, 1)
        raise UserError(
            f"{what}: {stored:,} bytes that become {decoded / GIB:,.2f} GiB once decoded, {times:,.0f} times as much; "
            f"the limit is {limit:g} GiB. If you trust the file, raise the environment variable {LIMIT_VARIABLE}"
        )


def check_parquet(parquet: pq.ParquetFile, file: BinaryIO, what: str, columns: list[str] | None = None) -> None:
    """UserError if `columns` (None: all) of `parquet`, which was opened from `file`, are too large once decoded.

    A damaged footer or dictionary raises an error of pyarrow. A footer with a wrong size of its pages is not detected;
    Arrow checks a page against the header of the page only.
    """
    chunks, size = _chunks(parquet, file, columns), file.seek(0, os.SEEK_END)
    check_growth(_page_bytes(chunks), size, what)  # if that passes, a dictionary can be decoded safely
    check_growth(_decoded_bytes(chunks, file), size, what)


def check_archive(content: bytes, what: str) -> zipfile.ZipFile:
    """The zip archive in `content`; UserError if its members are too large, zipfile.BadZipFile if it is not one."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    check_growth(sum(member.file_size for member in archive.infolist()), len(content), what)
    return archive


def check_network(content: bytes, what: str, layers: Mapping[str, type] | None = None) -> None:
    """UserError if the archive, HDF5 file or layers of the `.keras` file in `content` would take too much memory.

    layers: name -> class of custom layers. Content that is not a `.keras` file passes; loading it fails in Keras.
    """
    try:
        archive = check_archive(content, what)
        config, weights = (archive.read(name) if name in archive.namelist() else b"" for name in (CONFIG, WEIGHTS))
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        return
    check_growth(_hdf5_bytes(weights), len(content), what)
    check_growth(_layer_bytes(config, layers), len(content), what)


@dataclass(frozen=True)
class _ColumnChunk:
    """What the footer says of one column in one row group. column: its dotted path; size: bytes once decompressed."""

    group: int
    column: str
    physical_type: str
    num_values: int
    size: int
    has_dictionary: bool

    @property
    def width(self) -> int:
        """Bytes of the values once decoded, as far as the footer tells: numbers have at least their full width."""
        return max(self.size, self.num_values * _WIDTHS.get(self.physical_type, 0))


def _chunks(parquet: pq.ParquetFile, file: BinaryIO, columns: list[str] | None) -> list[_ColumnChunk]:
    """The chunks of the wanted columns; ArrowInvalid if the footer is damaged.

    DuckDB reads them: pyarrow's own reader of chunks ends the process if the sizes in a damaged footer contradict each
    other (its bindings do not catch the exception of RowGroupMetaData.column).
    """
    import duckdb  # here, so that a service which loads a package's features need not load it

    schema = parquet.metadata.schema
    paths = [schema.column(place).path for place in range(len(schema))]
    wanted = {place for place, path in enumerate(paths) if columns is None or path.split(".")[0] in columns}
    try:
        return [
            _ColumnChunk(group, paths[place], kind, count, size, dictionary is not None)
            for group, place, kind, count, size, dictionary in _footer_rows(file)
            if place in wanted
        ]
    except (duckdb.Error, IndexError, TypeError) as error:
        raise pa.ArrowInvalid(f"its footer is damaged: {first_line(error)}") from None


def _footer_rows(file: BinaryIO) -> list[tuple]:
    """Row group, column, physical type, values, bytes once decompressed and place of the dictionary of each chunk."""
    tail = 4 + len(_MAGIC)  # the footer's length, and the magic
    file.seek(-tail, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    file.seek(-tail - length, os.SEEK_END)
    name = f"/adloom-footer-{threading.get_ident()}.parquet"
    files = fsspec.filesystem("memory")
    files.pipe_file(name, _MAGIC + file.read())
    try:
        with _duckdb().cursor() as cursor:
            columns = "row_group_id, column_id, type, num_values, total_uncompressed_size, dictionary_page_offset"
            return cursor.execute(f"SELECT {columns} FROM parquet_metadata('memory://{name}')").fetchall()
    finally:
        files.rm_file(name)


@functools.cache
def _duckdb() -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect()
    connection.register_filesystem(fsspec.filesystem("memory"))
    # kept until the end of a process with daemon threads, the connection would fill the screen with "leaked" lines
    atexit.register(_duckdb.cache_clear)
    return connection


def _page_bytes(chunks: list[_ColumnChunk]) -> int:
    """Bytes of all pages once decompressed, with at least its full width for each number."""
    return sum(chunk.width for chunk in chunks)


def _decoded_bytes(chunks: list[_ColumnChunk], file: BinaryIO) -> int:
    """An upper bound of the bytes in memory, with the longest text of a dictionary in each of its rows."""
    small = limit_gib() * GIB / (8 * max(len(chunks), 1))  # below this, a coarse bound of a chunk suffices
    total = 0
    for chunk in chunks:
        size = chunk.width
        if chunk.physical_type.endswith("BYTE_ARRAY") and chunk.has_dictionary:
            at_most = chunk.num_values * chunk.size
            size += at_most if at_most < small else chunk.num_values * _longest_value(file, chunk)
        total += size
    return total


def _longest_value(file: BinaryIO, chunk: _ColumnChunk) -> int:
    """Bytes of the longest value in the dictionary of a column chunk; decodes only the dictionary."""
    column = chunk.column
    if "." in column:  # the dictionary of nested values cannot be read alone
        return chunk.size
    parquet = pq.ParquetFile(file, read_dictionary=[column])
    batches = parquet.iter_batches(batch_size=1, row_groups=[chunk.group], columns=[column], use_threads=False)
    batch = next(batches, None)
    if batch is None or not pa.types.is_dictionary(batch.schema.types[0]):
        return chunk.size
    return pc.max(pc.binary_length(batch.column(0).dictionary)).as_py() or 0


def _hdf5_bytes(content: bytes) -> int:
    """Uncompressed bytes of all arrays that an HDF5 file declares; 0 if it is not an HDF5 file."""
    import h5py

    sizes: list[int] = []

    def add(_name: str, member: object) -> None:
        if isinstance(member, h5py.Dataset):
            sizes.append(int(member.size or 0) * member.dtype.itemsize)

    try:
        with h5py.File(io.BytesIO(content), "r") as stored:
            stored.visititems(add)
    except (OSError, ValueError, KeyError, RuntimeError):
        return 0
    return sum(sizes)


def _layer_bytes(config: bytes, layers: Mapping[str, type] | None) -> int:
    """Bytes of the weights of the network in a config.json and of its activations for one row; 0 without a network.

    Nothing of that size is allocated.
    """
    import keras
    from keras.src.backend.common import global_state

    # Variables made in a stateless scope have shapes at once. Their values are allocated when the scope ends, from
    # Keras's list of uninitialised variables, which is therefore restored before.
    uninitialized = list(global_state.get_global_attribute(KERAS_UNINITIALIZED) or ())
    try:
        with keras.StatelessScope():
            try:
                network = keras.saving.deserialize_keras_object(
                    json.loads(config), custom_objects=dict(layers or {}), safe_mode=True
                )
                shapes = [weight.shape for weight in network.weights]
                shapes += [tensor.shape for node in getattr(network, "operations", ()) for tensor in _outputs(node)]
            finally:
                global_state.set_global_attribute(KERAS_UNINITIALIZED, uninitialized)
    except Exception:  # Keras cannot build it, and will raise the same when the network is loaded
        return 0
    return sum(4 * prod(int(side or 1) for side in shape) for shape in shapes)


def _outputs(node) -> list:
    import keras

    return keras.tree.flatten(node.output)
