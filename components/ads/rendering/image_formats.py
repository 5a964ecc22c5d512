"""Images in the formats that people and ad servers take; the same bytes for the same Pillow."""

import io
from typing import Any

import numpy as np
from PIL import Image

# format -> the name of its files' extension, and how Pillow writes it; png: as it was drawn
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("png", {}),
    "jpeg": ("jpg", {"subsampling": 0, "optimize": True}),
    "webp": ("webp", {"method": 6}),
}
LARGEST = 150_000  # bytes, the usual limit of ad networks for a display ad's initial load (IAB)
QUALITIES = (90, 80, 70, 60)  # of JPEG and WebP, tried in this order until the file is small enough


def converted(png: bytes, image_format: str) -> bytes:
    """An ad's PNG bytes in `image_format`, a name in FORMATS.

    JPEG and WebP have the highest of QUALITIES with at most LARGEST bytes, or the lowest one; a PNG is not changed.
    """
    if image_format == "png":
        return png
    with Image.open(io.BytesIO(png)) as ad:
        pixels = ad.convert("RGB")
    content = b""
    for quality in QUALITIES:
        stream = io.BytesIO()
        pixels.save(stream, format=image_format.upper(), quality=quality, **FORMATS[image_format][1])
        content = stream.getvalue()
        if len(content) <= LARGEST:
            break
    return content


def picture_png(picture: np.ndarray) -> bytes:
    """The compressed PNG of an image uint8 [h, w, c], for people (stored images are not compressed)."""
    return as_png(Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture))


def as_png(image: Image.Image) -> bytes:
    """The compressed PNG of an image."""
    stream = io.BytesIO()
    image.save(stream, "PNG")  # `optimize` takes eight times as long for a tenth fewer bytes
    return stream.getvalue()
