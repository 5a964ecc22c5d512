"""Bytes of PNG, JPEG, WebP and AVIF files <-> uint8 arrays. Sizes are checked before any pixel is decoded."""

import io
import struct
import warnings

import numpy as np
import pandas as pd
from PIL import ExifTags, Image, ImageOps

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
QUARTER_TURNS = {5, 6, 7, 8}  # EXIF orientations that exchange height and width


def decode(content: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Pixels uint8 [height, width, channels] of an image file: one channel if the file is grey, else three (RGB).

    Transparent pixels are blended with white, 16 bits are scaled to 8, CMYK is converted without a colour profile, and
    the EXIF rotation is applied. Of several images in a file the first is taken. Raises UserError for bytes that are
    no PNG, JPEG, WebP or AVIF, are cut off, or declare more than `max_pixels` pixels.
    """
    image = _open(content, max_pixels)
    try:
        image.load()  # decodes; until here only the header was read
    except NO_PICTURE as error:
        raise UserError(f"the picture is damaged: {error}") from None
    return _to_array(_upright(image))


def header(content: bytes) -> tuple[int, bool]:
    """(longer side in pixels, whether it is grey) of an image file, from its header only."""
    image = _open(content, MAX_PIXELS)
    return max(image.size), image.mode in GREY_MODES


def shape_of(content: bytes) -> tuple[int, int, int]:
    """(height, width, channels) of what `decode` returns, from the header only."""
    image = _open(content, MAX_PIXELS)
    turned = "exif" in image.info and _orientation(image) in QUARTER_TURNS
    height, width = image.size if turned else image.size[::-1]
    return height, width, 1 if image.mode in GREY_MODES or image.mode.startswith("I") else 3


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
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    canvas = np.empty((height, width, picture.shape[2]), dtype=np.uint8)
    canvas[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = resized
    return canvas


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


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF rotation says; as it is if its EXIF data are damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on damaged EXIF data
            return ImageOps.exif_transpose(image)
    except (*NO_PICTURE, *BAD_EXIF):
        return image


def _orientation(image: Image.Image) -> int:
    """The rotation in the image's EXIF data; 1 (none) if they are damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*NO_PICTURE, *BAD_EXIF):
        return 1


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
