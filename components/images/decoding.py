"""PNG and JPEG bytes <-> uint8 arrays. A picture's declared size is checked before a single pixel is decoded."""

import io
import warnings

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from components.contract.validation.image_headers import MAX_PIXELS, NO_PICTURE, open_picture, other_format
from components.settings.errors import UserError

GREY_MODES = {"1", "L", "LA", "I", "I;16", "F"}


def decode(content: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """PNG or JPEG bytes -> uint8 [height, width, channels], one channel where the file is grey and three otherwise.

    Transparency is laid on white, 16-bit greys are scaled to 8 bits and a camera's rotation mark is applied.
    Raises UserError for bytes that are no such picture, are cut off, or declare more than `max_pixels` pixels.
    """
    image = _open(content, max_pixels)
    try:
        # Image.open() has only read the header; load() decodes, and this is the first time that it may.
        image.load()
        upright = ImageOps.exif_transpose(image)
    except NO_PICTURE as error:
        raise UserError(f"the picture is damaged: {error}") from None
    return _to_array(upright)


def header(content: bytes) -> tuple[int, bool]:
    """PNG or JPEG bytes -> the longer side in pixels and whether it is grey, by the header alone."""
    image = _open(content, MAX_PIXELS)
    return max(image.size), image.mode in GREY_MODES


def decode_all(
    images: pd.DataFrame, size: int | tuple[int, int], channels: int, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Rows of the `images` table -> uint8 [n, height, width, channels], in the table's order.

    Reads columns `image_id` and `image`. A picture of another size is fitted into `size` (height, width; one number: a
    square) with its shape kept and its border colour around it. Raises UserError naming the image_id at fault.
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
    """uint8 [h, w] or [h, w, 1 or 3] -> PNG bytes, the same on every machine.

    Level 0 stores the pixels uncompressed, for deflate's output differs between zlib builds. Parquet's zstd packs them.
    """
    squeezed = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed, dtype=np.uint8)).save(stream, format="PNG", compress_level=0)
    return stream.getvalue()


def with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [h, w, 1 or 3] -> uint8 [h, w, channels]; grey from colour by ITU-R 601 luma."""
    if picture.shape[2] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


def fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [h, w, c] -> uint8 [height, width, c]: scaled to fit, centred, filled around with its border's median."""
    if picture.shape[:2] == (height, width):
        return picture
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner = (max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale)))
    squeezed = picture[..., 0] if picture.shape[2] == 1 else picture
    # reducing_gap is left out: it trades exactness for speed and its result depends on the size ratio
    resized = np.asarray(Image.fromarray(squeezed).resize((inner[1], inner[0]), Image.Resampling.LANCZOS))
    resized = resized.reshape(*inner, picture.shape[2])
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    canvas = np.empty((height, width, picture.shape[2]), dtype=np.uint8)
    canvas[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = resized
    return canvas


def fit_all(pictures: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 [n, h, w, c] -> uint8 [n, *shape]: each in those channels and fitted as by `decode_all`."""
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
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower bound follows
            image = open_picture(content)
    except Image.DecompressionBombError as error:
        raise UserError(f"the picture is too large: {error}") from None
    except NO_PICTURE:
        name = other_format(content)
        said = "neither PNG nor JPEG" if name is None else f"{name}; save it as PNG or JPEG"
        raise UserError(f"the picture is {said}") from None
    if image.width * image.height > max_pixels:
        raise UserError(f"the picture declares {image.width} x {image.height} pixels, more than {max_pixels:,}")
    return image


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.float64)
        return np.clip(np.round(wide / 257.0), 0, 255).astype(np.uint8)[..., None]
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        flat = Image.alpha_composite(white, layered).convert("RGB")
        return np.asarray(flat.convert("L"))[..., None] if image.mode in GREY_MODES else np.asarray(flat)
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))
