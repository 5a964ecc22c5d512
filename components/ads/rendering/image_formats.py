"""Ads in the formats that ad servers take: PNG bytes -> PNG, JPEG or WebP bytes, the same for the same Pillow."""

import io
from typing import Any

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
