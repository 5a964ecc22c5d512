"""Bytes of pictures -> what their headers declare and whether they decode, for the rules of the table `images`."""

import io
import warnings
from dataclasses import dataclass

import pandas as pd
from PIL import Image

from components.contract.validation.plain_png import plain_png

# Reviewed as a rule in expectations/images.json, too; here it keeps a decompression bomb from being decoded at all.
MAX_PIXELS = 25_000_000  # 75 MB decoded
FORMATS = ("PNG", "JPEG")
# What other pictures begin with, to refuse each by its name; none of them is opened. (offset, bytes, name)
OTHER_FORMATS = (
    (8, b"WEBP", "WebP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"8BPS", "Photoshop"),
)
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes that a BMP may state: "BM" alone begins many texts
NO_PICTURE = (OSError, SyntaxError, ValueError, EOFError, OverflowError)  # what Pillow raises for damaged bytes


@dataclass(frozen=True)
class PhotoFacts:
    """One picture: format and pixel kind by its header (None: not a picture), width x height, and if it decodes (None:
    of another format than PNG and JPEG, so it was not tried)."""

    image_format: str | None
    image_mode: str | None
    image_pixels: int
    image_decodes: bool | None


NOT_A_PICTURE = PhotoFacts(None, None, 1, False)  # one pixel: the rule on size is not what it breaks


def photo_facts(images: pd.Series) -> pd.DataFrame:
    """bytes [n] -> image_format, image_mode (text), image_pixels (int64), image_decodes (boolean), on its index."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower bound stands in `inspect`
        facts = [_plain(content) or inspect(content) for content in images]
    return pd.DataFrame(
        {
            "image_format": pd.Series([fact.image_format for fact in facts], index=images.index, dtype="str"),
            "image_mode": pd.Series([fact.image_mode for fact in facts], index=images.index, dtype="str"),
            "image_pixels": pd.Series([fact.image_pixels for fact in facts], index=images.index, dtype="int64"),
            "image_decodes": pd.Series([fact.image_decodes for fact in facts], index=images.index, dtype="boolean"),
        }
    )


def _plain(content: object) -> PhotoFacts | None:
    """What `inspect` says of a plain PNG, in a tenth of its time; None for any other content."""
    found = plain_png(content, MAX_PIXELS)
    return None if found is None else PhotoFacts("PNG", *found, True)


def inspect(content: object) -> PhotoFacts:
    """One picture's facts; the size in its header is looked at before a single pixel is decoded."""
    if not isinstance(content, bytes) or not content:
        return NOT_A_PICTURE
    try:
        image = open_picture(content)
    except Image.DecompressionBombError:
        return PhotoFacts("PNG" if content.startswith(b"\x89PNG") else "JPEG", None, MAX_PIXELS + 1, False)
    except NO_PICTURE:
        name = other_format(content)
        return NOT_A_PICTURE if name is None else PhotoFacts(name, None, 1, None)
    pixels = image.width * image.height
    kind = "JPEG" if image.format == "MPO" else image.format
    return PhotoFacts(kind, image.mode, pixels, 0 < pixels <= MAX_PIXELS and _decodes(image))


def open_picture(content: bytes) -> Image.Image:
    """PNG or JPEG bytes -> the picture, of which only the header was read; of an MPO (a phone's JPEG with further
    pictures behind the first) the first one. Image.DecompressionBombError, or one of NO_PICTURE, for other bytes."""
    return Image.open(io.BytesIO(content), formats=FORMATS)


def other_format(content: bytes) -> str | None:
    """The name of a picture's format that is not read here; None for what is no known picture."""
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in BITMAP_HEADERS:
        return "BMP"
    if content[:256].lstrip().startswith((b"<svg", b"<?xml")) and b"<svg" in content[:4096]:
        return "SVG"
    return next((name for at, magic, name in OTHER_FORMATS if content[at : at + len(magic)] == magic), None)


def _decodes(image: Image.Image) -> bool:
    try:
        image.load()
    except NO_PICTURE:
        return False
    return True
