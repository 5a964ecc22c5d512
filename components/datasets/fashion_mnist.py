"""The 70,000 photos of Fashion-MNIST (Zalando, MIT licence), from the first source on this machine that has them."""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from upath import UPath

from components.contract.files.tables import write_bytes
from components.datasets.packages.package_download import (
    DEFAULT_CACHE,
    check_digest,
    download_debian_package,
    filling,
    unpack_debian_package,
)
from components.settings.errors import UserError
from components.simulator.photos.product_photos import Photos, photo_id

PACKAGE = "dataset-fashion-mnist"
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
LICENCE = "MIT (Zalando SE)"
SIDE = 28
CACHED = "fashion-mnist"  # the folder in the cache

# File -> SHA-256 of its compressed bytes, which are the same from every source.
FILES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}

HOW_TO_GET = (
    f"install it with `apt-get install {PACKAGE}`, or put the four files {', '.join(FILES)} into a folder and set the "
    f"environment variable ADLOOM_FASHION_MNIST to it"
)


def load_photos(existing: Path | None = None, cache: Path = DEFAULT_CACHE) -> Photos:
    """All 70,000 photos, train then test.

    Sources in order: `existing` (the user's copy), the cache, the system's package, the downloaded package, Keras.
    Every file is checked by SHA-256.
    """
    folder = find_files(existing, cache)
    pictures, labels = [], []
    for split in ("train", "t10k"):
        pictures.append(_read_idx(folder / f"{split}-images-idx3-ubyte.gz"))
        labels.append(_read_idx(folder / f"{split}-labels-idx1-ubyte.gz"))
    counts = [len(part) for part in labels]
    return Photos(
        ids=tuple(photo_id(split, index) for split, count in enumerate(counts) for index in range(count)),
        pictures=np.concatenate(pictures),
        category=np.concatenate(labels).astype(np.int64),
        split=np.repeat([0, 1], counts),
    )


def find_files(existing: Path | None, cache: Path) -> Path:
    """The folder of the first source with the four files, checked by SHA-256; UserError if no source has them.

    A copy with wrong bytes is a UserError, since trying the next source would hide a damaged disk or a foreign file.
    """
    refusals = []
    for source in _sources(existing, cache):
        try:
            folder = source()
        except UserError as error:
            refusals.append(str(error))
            continue
        if folder is not None and _is_complete(folder):
            for name, digest in FILES.items():
                check_digest(folder / name, digest, "Fashion-MNIST")
            return folder
    raise UserError(f"Fashion-MNIST is not available here ({'; '.join(refusals)}): {HOW_TO_GET}")


def _sources(existing: Path | None, cache: Path) -> Iterator[Callable[[], Path | None]]:
    if existing is not None:
        yield lambda: _complete_copy(existing)
    yield lambda: cache / CACHED
    yield lambda: SYSTEM_FOLDER
    yield lambda: _filled(cache, _from_debian)
    yield lambda: _filled(cache, _from_keras)


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _filled(cache: Path, source: Callable[[Path], Path]) -> Path:
    """The cache's folder, filled by `source`, or by another process while this one waited for its turn."""
    with filling(cache):
        return cache / CACHED if _is_complete(cache / CACHED) else source(cache)


def _complete_copy(existing: Path) -> Path:
    missing = [name for name in FILES if not (existing / name).is_file()]
    if missing:
        raise UserError(f"{existing} lacks {', '.join(missing)}")
    return existing


def _from_debian(cache: Path) -> Path:
    package = download_debian_package(PACKAGE, cache / "packages")
    unpacked = cache / "packages" / PACKAGE
    unpack_debian_package(package, unpacked)
    return _copy_to_cache(unpacked / SYSTEM_FOLDER.relative_to("/"), cache)


def _from_keras(cache: Path) -> Path:
    import keras  # here, because it takes seconds and is the last source

    try:
        keras.datasets.fashion_mnist.load_data()
    except Exception as error:
        raise UserError(f"keras.datasets could not download it: {str(error).splitlines()[0]}") from None
    return _copy_to_cache(Path(keras.config.keras_home()) / "datasets" / "fashion-mnist", cache)


def _copy_to_cache(folder: Path, cache: Path) -> Path:
    """The cache's folder with copies of the four files, for builds without a network; UserError for wrong bytes."""
    for name, digest in FILES.items():
        content = check_digest(folder / name, digest, "Fashion-MNIST").read_bytes()
        write_bytes(content, UPath(cache / CACHED / name))
    return cache / CACHED


def _read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, uint8, with the shape in its header."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
