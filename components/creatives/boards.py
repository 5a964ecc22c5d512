"""Generators and pools -> pictures for people: a board of samples per generator, and each creative as an ad."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image

from components.creatives.compose import compose
from components.creatives.pool import PEOPLE, Pool
from components.creatives.protocol import Generator
from components.pictures import decode

COLUMNS = 12  # samples of each category on a board
ZOOM = 2
ADS, ADS_ACROSS, GAP = 12, 3, 8  # on the board of ads; the gap in pixels


def board(generator: Generator, seed: int = 0) -> bytes:
    """PNG: a row of samples per category, segments in turn from left to right."""
    rows = len(generator.categories)
    category = np.repeat(np.arange(rows), COLUMNS)
    segment = np.tile(np.arange(COLUMNS) % max(generator.segments, 1), rows)
    made = generator.sample(category, segment, seed)  # (rows * COLUMNS, h, w, c)
    _, high, wide, channels = made.shape
    sheet = made.reshape(rows, COLUMNS, high, wide, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * high, COLUMNS * wide, channels)
    return picture_png(np.repeat(np.repeat(sheet, ZOOM, axis=0), ZOOM, axis=1))


def ads(pool: Pool, campaigns: pd.DataFrame) -> Mapping[str, bytes]:
    """`<creative_id>.png` -> the creative as a 300x250 ad in its campaign's colour."""
    pictures = {row.image_id: decode(row.image) for row in pool.images.itertuples()}
    wording = texts_of(pool.creatives, campaigns)
    rows = zip(pool.creatives["creative_id"], pool.creatives["image_id"], wording, strict=True)
    return {f"{name}.png": ad_png(pictures[image], **words) for name, image, words in rows}


def ads_board(made: Mapping[str, bytes]) -> bytes:
    """PNG: some of the ads side by side, taken evenly from all of them, so that each campaign shows."""
    names = sorted(made)
    shown = [names[place] for place in np.unique(np.linspace(0, len(names) - 1, ADS).astype(int))]
    ads = [np.asarray(Image.open(BytesIO(made[name])).convert("RGB")) for name in shown]
    high, wide, _ = ads[0].shape
    rows = -(-len(ads) // ADS_ACROSS)
    sheet = np.full((rows * (high + GAP) - GAP, ADS_ACROSS * (wide + GAP) - GAP, 3), 255, np.uint8)
    for place, ad in enumerate(ads):
        top, left = place // ADS_ACROSS * (high + GAP), place % ADS_ACROSS * (wide + GAP)
        sheet[top : top + high, left : left + wide] = ad
    return picture_png(sheet)


def texts_of(creatives: pd.DataFrame, campaigns: pd.DataFrame) -> list[dict[str, str | None]]:
    """What stands around each creative's picture: headline, call_to_action, palette, template, brand_color."""
    colours = campaigns.set_index("campaign")["brand_color"]
    names = ("headline", "call_to_action", "palette", "template")
    return [
        {**{name: _text(getattr(row, name)) for name in names}, "brand_color": _text(colours.get(row.campaign))}
        for row in creatives.itertuples()
    ]


def known_texts(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, str | None]]:
    """Each pair of headline and call to action that people wrote for a campaign, once, with what stood around it."""
    people = tables["creatives"][tables["creatives"]["origin"] == PEOPLE]
    return texts_of(people.drop_duplicates(["campaign", "headline", "call_to_action"]), tables["campaigns"])


def ad_png(
    picture: np.ndarray,
    headline: str | None,
    call_to_action: str | None,
    palette: str | None,
    template: str | None,
    brand_color: str | None,
) -> bytes:
    """uint8 [h, w, c] and its texts -> the 300x250 ad as PNG."""
    return picture_png(compose(picture, headline, call_to_action, palette, template, brand_color=brand_color))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def picture_png(picture: np.ndarray) -> bytes:
    """Compressed, unlike stored pictures: these are for eyes and downloads."""
    stream = BytesIO()
    shown = picture[..., 0] if picture.shape[2] == 1 else picture
    Image.fromarray(shown).save(stream, "PNG", optimize=True)
    return stream.getvalue()
