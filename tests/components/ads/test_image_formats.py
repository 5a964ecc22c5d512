"""The files that ad servers take: their size in bytes, and the same bytes again."""

import io

import numpy as np
import pytest
from PIL import Image

from components.ads.rendering.image_formats import FORMATS, LARGEST, QUALITIES, converted, picture_png


def detailed(side: int) -> bytes:
    """An ad of 1080x1080 whose photo has `side` x `side` blots of random colours."""
    rough = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return picture_png(np.asarray(Image.fromarray(rough).resize((1080, 1080), Image.Resampling.BICUBIC)))


def at_best(png: bytes, image_format: str) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as ad:
        ad.save(stream, image_format.upper(), quality=QUALITIES[0], **FORMATS[image_format][1])
    return stream.getvalue()


@pytest.mark.parametrize(("image_format", "side"), [("jpeg", 40), ("webp", 100)])
def test_a_detailed_ad_gets_smaller_until_ad_networks_take_it(image_format, side):
    png = detailed(side)
    made = converted(png, image_format)
    assert len(at_best(png, image_format)) > LARGEST >= len(made) and made == converted(png, image_format)
    with Image.open(io.BytesIO(made)) as ad:
        assert ad.size == (1080, 1080)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_small_ad_keeps_the_best_quality_and_a_png_its_bytes(image_format):
    plain = picture_png(np.full((250, 300, 3), 200, np.uint8))
    expected = plain if image_format == "png" else at_best(plain, image_format)
    assert converted(plain, image_format) == expected
    if image_format == "png":
        large = detailed(100)
        assert len(large) > LARGEST and converted(large, "png") == large
