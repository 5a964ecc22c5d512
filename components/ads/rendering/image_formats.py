"""Ads in the formats that ad servers take: PNG bytes -> PNG, JPEG or WebP bytes, the same for the same Pillow."""

import io
from typing import Any

from PIL import Image

# format -> the name of its files' extension, and how Pillow writes it; png: as it was drawn
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("png", {}),
    "jpeg": ("jpg", {"quality": 90, "subsampling": 0, "optimize": True}),
    "webp": ("webp", {"quality": 90, "method": 6}),
}


def converted(png: bytes, image_format: str) -> bytes:
    """An ad's PNG bytes in `image_format`, a name in FORMATS."""
    if image_format == "png":
        return png
    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as ad:
        ad.convert("RGB").save(stream, format=image_format.upper(), **FORMATS[image_format][1])
    return stream.getvalue()
