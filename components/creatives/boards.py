"""Generators and pools -> pictures for people: a board of samples per generator, and each creative as an ad."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image

from components.creatives.compose import compose
from components.creatives.pool import Pool
from components.creatives.protocol import Generator
from components.pictures import decode

COLUMNS = 12  # samples of each category on a board
ZOOM = 2


def board(generator: Generator, seed: int = 0) -> bytes:
    """PNG: a row of samples per category, segments in turn from left to right."""
    rows = len(generator.categories)
    category = np.repeat(np.arange(rows), COLUMNS)
    segment = np.tile(np.arange(COLUMNS) % max(generator.segments, 1), rows)
    made = generator.sample(category, segment, seed)  # (rows * COLUMNS, h, w, c)
    _, high, wide, channels = made.shape
    sheet = made.reshape(rows, COLUMNS, high, wide, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * high, COLUMNS * wide, channels)
    return _png(np.repeat(np.repeat(sheet, ZOOM, axis=0), ZOOM, axis=1))


def ads(pool: Pool, campaigns: pd.DataFrame) -> Mapping[str, bytes]:
    """`<creative_id>.png` -> the creative as a 300x250 ad in its campaign's colour."""
    colours = campaigns.set_index("campaign")["brand_color"]
    pictures = pool.images.set_index("image_id")["image"]
    return {f"{row.creative_id}.png": _ad(row, pictures[row.image_id], colours) for row in pool.creatives.itertuples()}


def _ad(row, picture: bytes, colours: pd.Series) -> bytes:
    colour = _text(colours.get(row.campaign))
    texts = [_text(value) for value in (row.headline, row.call_to_action, row.palette, row.template)]
    return _png(compose(decode(picture), *texts, brand_color=colour))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _png(picture: np.ndarray) -> bytes:
    """Compressed, unlike stored pictures: these are for eyes and downloads."""
    stream = BytesIO()
    shown = picture[..., 0] if picture.shape[2] == 1 else picture
    Image.fromarray(shown).save(stream, "PNG", optimize=True)
    return stream.getvalue()
