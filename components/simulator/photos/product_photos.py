"""Real product photos: as arrays and uncompressed PNG files, or with the products of a real catalogue."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL.Image import DecompressionBombError

from components.contract.validation.image_headers import NO_PICTURE, open_picture
from components.settings.errors import UserError
from components.simulator.assortments import FASHION

SPLITS = ("train", "test")
ID_PREFIX = "photo-"  # marks a real photo of this data set among the rows of `images`


@dataclass(frozen=True)
class Photos:
    """Grey photos of articles, by id: `pictures` uint8 [n, h, w], codes `category` and `split` int64 [n]."""

    ids: tuple[str, ...]
    pictures: np.ndarray
    category: np.ndarray
    split: np.ndarray

    def head(self, train: int, test: int) -> "Photos":
        """The first `train` and `test` photos of each split, for tests."""
        rows = np.concatenate([np.flatnonzero(self.split == code)[:n] for code, n in enumerate((train, test))])
        return Photos(tuple(self.ids[row] for row in rows), self.pictures[rows], self.category[rows], self.split[rows])


@dataclass(frozen=True)
class Goods:
    """The products and photos of a real catalogue in the contract's columns; products of a campaign are consecutive.

    The ids of the photos begin with ID_PREFIX.
    """

    products: pd.DataFrame
    images: pd.DataFrame


def photo_id(split: int, index: int) -> str:
    """Id of photo number `index` of a split, such as `photo-train-00042`."""
    return f"{ID_PREFIX}{SPLITS[split]}-{index:05d}"


def images_table(photos: Photos) -> pd.DataFrame:
    """The contract's table `images`: one uncompressed PNG per photo, with its category and split."""
    return pd.DataFrame(
        {
            "image_id": _text(photos.ids),
            "image": [encode_png(picture) for picture in photos.pictures],
            "category": _text(FASHION.categories[code] for code in photos.category),
            "split": _text(SPLITS[code] for code in photos.split),
        }
    )


def _text(values) -> pd.Series:
    return pd.Series(pd.array(pa.array(list(values), pa.large_string()), dtype="str"))


def encode_png(picture: np.ndarray) -> bytes:
    """PNG bytes of a grey image uint8 [h, w], with stored (not deflated) pixels: the same bytes with any zlib."""
    height, width = picture.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each scan line begins with its filter type, 0
    rows[:, 1:] = picture
    raw = rows.tobytes()
    if len(raw) > 65535:  # the limit of a stored deflate block
        raise ValueError(f"an image of {width}x{height} does not fit one stored block")
    stored = (
        b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw + struct.pack(">I", zlib.adler32(raw))
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stored) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def decode_grey(content: bytes, image_id: str) -> np.ndarray:
    """Luma float64 [h, w] in [0, 1] of an image file."""
    try:
        with open_picture(content) as image:
            return np.asarray(image.convert("L"), np.float64) / 255.0
    except (*NO_PICTURE, DecompressionBombError) as error:
        raise UserError(f"images: {image_id} cannot be decoded: {error}") from None
