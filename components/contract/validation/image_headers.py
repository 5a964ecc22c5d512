"""Facts about encoded images, from their headers and a trial decoding, for the rules on the table `images`."""

import io
import warnings
from dataclasses import dataclass

import pandas as pd
from PIL import Image

from components.contract.validation.frame_sizes import avif_pixels, has_file_type, is_avif, is_webp, webp_size
from components.contract.validation.plain_png import plain_png

# Also a rule in expectations/images.json; here it prevents that a decompression bomb is decoded.
MAX_PIXELS = 25_000_000  # 75 MB decoded
MAX_CODED = 3 * MAX_PIXELS  # of an AVIF's frames: colours, transparency, thumbnail
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")  # that Pillow opens
ACCEPTED = "PNG, JPEG, WebP or AVIF"
NAMES = {"MPO": "JPEG", "WEBP": "WebP"}  # Pillow's name -> ours, where they differ
# (offset, bytes, name) of other formats, which are refused by their name and never opened
OTHER_FORMATS = (
    (4, b"ftypavis", "animated AVIF"),
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
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # valid header sizes of a BMP, since many texts begin with "BM"
# raised by Pillow for damaged bytes; RuntimeError by its AVIF decoder
NO_PICTURE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, RuntimeError)


@dataclass(frozen=True)
class PhotoFacts:
    """One image: format from its header (None: not an image), number of pixels, and whether it decodes.

    image_decodes: None for a format that is not accepted, which is not decoded.
    """

    image_format: str | None
    image_pixels: int
    image_decodes: bool | None


NOT_A_PICTURE = PhotoFacts(None, 1, False)  # one pixel, so that it does not also break the rule on size


def photo_facts(images: pd.Series) -> pd.DataFrame:
    """Columns image_format (text), image_pixels (int64), image_decodes (boolean) of encoded images [n]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large images, since `inspect` has a lower limit, and damaged EXIF data
        facts = [_plain(content) or inspect(content) for content in images]
    return pd.DataFrame(
        {
            "image_format": pd.Series([fact.image_format for fact in facts], index=images.index, dtype="str"),
            "image_pixels": pd.Series([fact.image_pixels for fact in facts], index=images.index, dtype="int64"),
            "image_decodes": pd.Series([fact.image_decodes for fact in facts], index=images.index, dtype="boolean"),
        }
    )


def _plain(content: object) -> PhotoFacts | None:
    """The result of `inspect` for a plain PNG, in a tenth of the time; None for any other content."""
    facts = plain_png(content, MAX_PIXELS)
    return None if facts is None else PhotoFacts("PNG", facts[1], True)


def inspect(content: object) -> PhotoFacts:
    """The facts of one encoded image; the size in its header is checked before anything is decoded."""
    if not isinstance(content, bytes) or not content:
        return NOT_A_PICTURE
    known = begins_as(content)
    try:
        image = open_picture(content)
    except Image.DecompressionBombError:
        return PhotoFacts(known or "JPEG", MAX_PIXELS + 1, False)
    except NO_PICTURE:
        if known is not None:
            return PhotoFacts(known, 1, False)
        name = other_format(content)
        return NOT_A_PICTURE if name is None else PhotoFacts(name, 1, None)
    pixels = image.width * image.height
    kind = NAMES.get(image.format, image.format)
    return PhotoFacts(kind, pixels, 0 < pixels <= MAX_PIXELS and _decodes(image))


def open_picture(content: bytes) -> Image.Image:
    """The image in PNG, JPEG, WebP or AVIF bytes, with only its header read.

    Of several images in a file (MPO, an animated WebP) it is the first. Image.DecompressionBombError for a WebP or AVIF
    whose decoding would take too much memory, and for PNG and JPEG above Pillow's own limit; one of NO_PICTURE for
    other bytes.
    """
    if is_webp(content):
        width, height = webp_size(content)
        if width * height > MAX_PIXELS:
            raise Image.DecompressionBombError(f"it declares {width} x {height} pixels, more than {MAX_PIXELS:,}")
    elif has_file_type(content) and (pixels := avif_pixels(content)) > MAX_CODED:
        raise Image.DecompressionBombError(f"its frames have {pixels:,} pixels, more than {MAX_CODED:,}")
    return Image.open(io.BytesIO(content), formats=FORMATS)


def begins_as(content: bytes) -> str | None:
    """The accepted format that the bytes begin as, where its signature is long enough to be no coincidence."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WebP" if is_webp(content) else "AVIF" if is_avif(content) else None


def other_format(content: bytes) -> str | None:
    """The name of the image format of `content`, other than the accepted ones; None if it is not a known format."""
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
