"""Bytes of PNG, JPEG, WebP and AVIF files <-> uint8 arrays. Sizes are checked before any pixel is decoded."""

import io
import struct
import warnings

import numpy as np
import pandas as pd
from PIL import ExifTags, Image

from components.contract.validation.image_headers import (
    ACCEPTED,
    MAX_PIXELS,
    NO_PICTURE,
    begins_as,
    open_picture,
    other_format,
)
from components.settings.errors import UserError

BAD_EXIF = (struct.error, TypeError, KeyError, IndexError, AttributeError)  # raised by Pillow besides NO_PICTURE
GREY_MODES = {"1", "L", "LA", "I", "I;16", "F"}
TURNS = {  # EXIF orientation -> what makes the image upright (EXIF 2.32, table 6); no other value turns it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
EXCHANGE_SIDES = {TURNS[orientation] for orientation in (5, 6, 7, 8)}
# of a PNG's chunks that may hold a rotation, also behind the pixels
PNG_METADATA = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type exif")


def decode(content: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Pixels uint8 [height, width, channels] of an image file: one channel if the file is grey, else three (RGB).

    Transparent pixels are blended with white, 16 bits are scaled to 8, CMYK is converted without a colour profile, and
    the rotation in its EXIF or XMP data is applied. Of several images in a file the first is taken. Raises UserError
    for bytes that are no PNG, JPEG, WebP or AVIF, are cut off, or declare more than `max_pixels` pixels.
    """
    image = _open(content, max_pixels)
    try:
        image.load()  # decodes; until here only the header was read
    except NO_PICTURE as error:
        raise UserError(f"the picture is damaged: {error}") from None
    turn = _turn(image, content)
    return _to_array(image if turn is None else image.transpose(turn))


def header(content: bytes) -> tuple[int, bool]:
    """(longer side in pixels, whether it is grey) of an image file, from its header only."""
    image = _open(content, MAX_PIXELS)
    return max(image.size), _is_grey(image)


def shape_of(content: bytes) -> tuple[int, int, int]:
    """(height, width, channels) of what `decode` returns, from the header; a PNG with metadata is decoded for them."""
    image = _open(content, MAX_PIXELS)
    height, width = image.size if _turn(image, content) in EXCHANGE_SIDES else image.size[::-1]
    return height, width, 1 if _is_grey(image) else 3


def decode_all(
    images: pd.DataFrame, size: int | tuple[int, int], channels: int, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Pixels uint8 [n, height, width, channels] of the rows of the `images` table, in the table's order.

    Reads columns `image_id` and `image`. An image of another size is scaled to fit `size` (height, width; one number: a
    square) at its aspect ratio and padded with its border colour. Raises UserError with the image_id at fault.
    """
    height, width = (size, size) if isinstance(size, int) else size
    pictures = np.empty((len(images), height, width, channels), dtype=np.uint8)
    for row, (image_id, content) in enumerate(zip(images["image_id"], images["image"], strict=True)):
        try:
            picture = decode(content, max_pixels)
        except UserError as error:
            raise UserError(f"images: image_id {image_id}: {error}") from None
        pictures[row] = fit(with_channels(picture, channels), height, width)
    return pictures


def encode_png(picture: np.ndarray) -> bytes:
    """PNG bytes of uint8 [h, w] or [h, w, 1 or 3], the same on every machine.

    Level 0 stores the pixels uncompressed, because deflate's output differs between zlib builds; the Parquet file is
    compressed with zstd.
    """
    squeezed = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed, dtype=np.uint8)).save(stream, format="PNG", compress_level=0)
    return stream.getvalue()


def with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [h, w, channels] of uint8 [h, w, 1 or 3]; grey from colour by ITU-R 601 luma."""
    if picture.shape[2] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


def fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [height, width, c] of uint8 [h, w, c]: scaled to fit, centred, padded with the median of its border."""
    if picture.shape[:2] == (height, width):
        return picture
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner = (max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale)))
    squeezed = picture[..., 0] if picture.shape[2] == 1 else picture
    # without reducing_gap, which trades exactness for speed and whose result depends on the size ratio
    resized = np.asarray(Image.fromarray(squeezed).resize((inner[1], inner[0]), Image.Resampling.LANCZOS))
    resized = resized.reshape(*inner, picture.shape[2])
    canvas = np.empty((height, width, picture.shape[2]), dtype=np.uint8)
    canvas[:] = border_colour(picture).astype(np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = resized
    return canvas


def border(picture: np.ndarray) -> np.ndarray:
    """The pixels along the four sides of an image uint8 [h, w, c], uint8 [2 w + 2 h, c]."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def border_colour(picture: np.ndarray) -> np.ndarray:
    """The median colour of the border of an image uint8 [h, w, c], float64 [c] within 0 to 255."""
    return np.median(border(picture), axis=0)


def fit_all(pictures: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 [n, *shape] of uint8 [n, h, w, c]: channels converted and size fitted as `decode_all` does."""
    if pictures.shape[1:] == shape:
        return pictures
    height, width, channels = shape
    fitted = [fit(with_channels(picture, channels), height, width) for picture in pictures]
    return np.array(fitted, dtype=np.uint8).reshape(len(pictures), *shape)


def _open(content: bytes, max_pixels: int) -> Image.Image:
    if not isinstance(content, bytes) or not content:
        raise UserError("the picture is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of large images, since `max_pixels` is checked below, and damaged EXIF data
            image = open_picture(content)
    except Image.DecompressionBombError as error:
        raise UserError(f"the picture is too large: {error}") from None
    except NO_PICTURE:
        if begins_as(content) is not None:
            raise UserError(f"the picture is damaged: its {begins_as(content)} header cannot be read") from None
        name = other_format(content)
        message = f"not {ACCEPTED}" if name is None else f"{name}; save it as {ACCEPTED}"
        raise UserError(f"the picture is {message}") from None
    if image.width * image.height > max_pixels:
        raise UserError(f"the picture declares {image.width} x {image.height} pixels, more than {max_pixels:,}")
    return image


def _turn(image: Image.Image, content: bytes) -> Image.Transpose | None:
    """What makes the image upright by its EXIF or XMP data; None if nothing does, or if they are damaged."""
    if image.format == "PNG" and not any(name in content for name in PNG_METADATA):
        return None  # Pillow would decode the pixels to look behind them
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on damaged EXIF data
            return TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except (*NO_PICTURE, *BAD_EXIF):
        return None


def _is_grey(image: Image.Image) -> bool:
    return image.mode in GREY_MODES or image.mode.startswith("I")


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.float64)
        wide[wide == image.info.get("transparency", -1)] = 65535  # one grey may stand for transparent
        return np.clip(np.round(wide / 257.0), 0, 255).astype(np.uint8)[..., None]
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        flat = Image.alpha_composite(white, layered).convert("RGB")
        return np.asarray(flat.convert("L"))[..., None] if image.mode in GREY_MODES else np.asarray(flat)
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))
