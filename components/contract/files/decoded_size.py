"""How large a file becomes once it is decoded, known before it is: what a small file must not do to a machine.

A file may take LIMIT GiB of memory, or GROWTH times its own size, whichever is more: large files are no bombs. Parquet
tells its sizes in its footer, an archive in its directory; a network's weights are counted without making them.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from math import prod
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.settings.errors import UserError

LIMIT = "ADLOOM_MAX_DECODED_GIB"  # environment variable
DEFAULT_GIB = 1.0
GROWTH = 50  # logs of real shops become 3 to 15 times as large
WEIGHTS, CONFIG = "model.weights.h5", "config.json"
DUE = "uninitialized_variables"  # what Keras calls its list of variables that wait for their values
GIB = 2**30
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}


def limit_gib() -> float:
    """The limit that the environment sets, in GiB; UserError where it is no positive number."""
    text = os.environ.get(LIMIT, "") or str(DEFAULT_GIB)
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 < limit < float("inf"):
        raise UserError(f"the environment variable {LIMIT} is {text!r}; a number of GiB above 0 is due")
    return limit


def check_growth(decoded: int, stored: int, what: str) -> None:
    """UserError where `what`, `stored` bytes on disk, takes more than it may once `decoded` (bytes)."""
    limit = limit_gib()
    if decoded > max(limit * GIB, GROWTH * stored):
        times = decoded / max(stored, 1)
        raise UserError(
            f"{what}: {stored:,} bytes that become {decoded / GIB:,.2f} GiB once decoded, {times:,.0f} times as much; "
            f"the limit is {limit:g} GiB. If it is as it should be, raise the environment variable {LIMIT}"
        )


def check_parquet(parquet: pq.ParquetFile, file: BinaryIO, what: str, columns: list[str] | None = None) -> None:
    """UserError where `columns` (None: all) of `parquet`, which was opened from `file`, are too large once decoded.

    Raises what pyarrow does where a dictionary is damaged. A footer that lies about the size of its pages is not found
    out: Arrow itself holds a page to its own header alone.
    """
    size = file.seek(0, os.SEEK_END)
    check_growth(_in_pages(parquet, columns), size, what)  # then a dictionary may be looked at
    check_growth(_decoded(parquet, file, columns), size, what)


def check_archive(content: bytes, what: str) -> zipfile.ZipFile:
    """The zip archive in `content`; UserError where its members are too large, zipfile.BadZipFile where it is none."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    check_growth(sum(member.file_size for member in archive.infolist()), len(content), what)
    return archive


def check_network(content: bytes, what: str, layers: Mapping[str, type] | None = None) -> None:
    """UserError where the `.keras` file in `content` would take too much memory: its archive, its HDF5 or its layers.

    layers: name -> class of those not Keras's own. What is no such file is left to Keras, which says so.
    """
    try:
        archive = check_archive(content, what)
        config, weights = (archive.read(name) if name in archive.namelist() else b"" for name in (CONFIG, WEIGHTS))
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        return
    check_growth(_in_hdf5(weights), len(content), what)
    check_growth(_in_layers(config, layers), len(content), what)


def _chunks(parquet: pq.ParquetFile, columns: list[str] | None):
    """(row group, column chunk's metadata) of the wanted columns."""
    metadata = parquet.metadata
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if columns is None or chunk.path_in_schema.split(".")[0] in columns:
                yield group, chunk


def _in_pages(parquet: pq.ParquetFile, columns: list[str] | None) -> int:
    """Bytes of the pages once decompressed, and of numbers once they are spread out."""
    return sum(
        max(chunk.total_uncompressed_size, chunk.num_values * _WIDTHS.get(chunk.physical_type, 0))
        for _, chunk in _chunks(parquet, columns)
    )


def _decoded(parquet: pq.ParquetFile, file: BinaryIO, columns: list[str] | None) -> int:
    """An upper bound of the bytes in memory: where a dictionary holds texts, each row may have the longest of them."""
    chunks = list(_chunks(parquet, columns))
    small = limit_gib() * GIB / (8 * max(len(chunks), 1))  # so much of each chunk need not be known better
    total = 0
    for group, chunk in chunks:
        size = max(chunk.total_uncompressed_size, chunk.num_values * _WIDTHS.get(chunk.physical_type, 0))
        if chunk.physical_type.endswith("BYTE_ARRAY") and chunk.has_dictionary_page:
            at_most = chunk.num_values * chunk.total_uncompressed_size
            size += at_most if at_most < small else chunk.num_values * _longest(file, group, chunk)
        total += size
    return total


def _longest(file: BinaryIO, group: int, chunk) -> int:
    """Bytes of the longest value in the dictionary of a column chunk, which is decoded and nothing else."""
    column = chunk.path_in_schema
    if "." in column:  # nested values: no dictionary can be had alone
        return chunk.total_uncompressed_size
    parquet = pq.ParquetFile(file, read_dictionary=[column])
    batch = next(parquet.iter_batches(batch_size=1, row_groups=[group], columns=[column], use_threads=False), None)
    if batch is None or not pa.types.is_dictionary(batch.schema.types[0]):
        return chunk.total_uncompressed_size
    return pc.max(pc.binary_length(batch.column(0).dictionary)).as_py() or 0


def _in_hdf5(content: bytes) -> int:
    """Bytes of all arrays that an HDF5 file declares, compressed or not; 0 where it is none."""
    import h5py

    sizes: list[int] = []

    def add(_name: str, found: object) -> None:
        if isinstance(found, h5py.Dataset):
            sizes.append(int(found.size or 0) * found.dtype.itemsize)

    try:
        with h5py.File(io.BytesIO(content), "r") as stored:
            stored.visititems(add)
    except (OSError, ValueError, KeyError, RuntimeError):
        return 0
    return sum(sizes)


def _in_layers(config: bytes, layers: Mapping[str, type] | None) -> int:
    """Bytes of the weights that the layers of a network's config.json would make, and of all that they hand on for one
    row; none of it is made. 0 where it describes no network."""
    import keras
    from keras.src.backend.common import global_state

    # Variables of a stateless scope have a shape at once and get their values when it ends, unless none is due then.
    due = list(global_state.get_global_attribute(DUE) or ())
    try:
        with keras.StatelessScope():
            try:
                network = keras.saving.deserialize_keras_object(
                    json.loads(config), custom_objects=dict(layers or {}), safe_mode=True
                )
                shapes = [weight.shape for weight in network.weights]
                shapes += [made.shape for node in getattr(network, "operations", ()) for made in _outputs(node)]
            finally:
                global_state.set_global_attribute(DUE, due)
    except Exception:  # Keras raises its own on what it cannot build, and is asked again when it loads
        return 0
    return sum(4 * prod(int(side or 1) for side in shape) for shape in shapes)


def _outputs(node) -> list:
    import keras

    return keras.tree.flatten(node.output)
