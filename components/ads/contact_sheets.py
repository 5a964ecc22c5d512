"""Images for people: contact sheets of generators' samples, of captions and of ads, and each creative as an ad."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from components.ads.pools.pool import Pool
from components.ads.pools.shown_facts import facts_of, required_marks
from components.ads.rendering.ad_sizes import MEDIUM_RECTANGLE, AdSize
from components.ads.rendering.compose import compose
from components.ads.rendering.designs import Parts
from components.ads.rendering.image_formats import as_png, picture_png
from components.ads.rendering.text_fitting import fit_text, spelled, undrawable
from components.contract.origins import PEOPLE
from components.generators.generator_protocol import Generator
from components.generators.text_to_image.caption_parser import ParsedCaption
from components.generators.text_to_image.captions import examples
from components.generators.text_to_image.text_to_image import MAX_ATTEMPTS, TextToImage
from components.images import decode
from components.settings.file_names import file_name

COLUMNS = 12  # samples of each category on a sheet
ZOOM = 2
ADS, ADS_ACROSS, GAP = 12, 3, 8  # on the sheet of ads; the gap in pixels
MARGIN = 110  # pixels, for the labels


def sample_sheet(generator: Generator, seed: int = 0) -> bytes:
    """A PNG with a row of samples per category, for segments in turn from left to right."""
    rows = len(generator.categories)
    category = np.repeat(np.arange(rows), COLUMNS)
    segment = np.tile(np.arange(COLUMNS) % max(generator.segments, 1), rows)
    made = generator.sample(category, segment, seed)  # (rows * COLUMNS, h, w, c)
    return _sheet(made, generator.categories)


def caption_sheet(maker: TextToImage, seed: int = 0, attempts: int = MAX_ATTEMPTS) -> bytes:
    """A PNG with a row of images per example caption, English and Chinese in turn, sampled as for any caption."""
    captions = examples(maker.generator.categories)
    # not parsed, since a parser after a short training must not stop a run
    parsed_captions = [
        ParsedCaption(caption.category, caption.tone, caption.build, 1.0)
        for caption in captions
        for _ in range(COLUMNS)
    ]
    segment = np.full(len(parsed_captions), maker.generator.segments)
    result = maker.sample_until_accepted(parsed_captions, segment, seed, attempts)
    return _sheet(result.pictures, [caption.text for caption in captions])


def _sheet(made: np.ndarray, labels: Sequence[str]) -> bytes:
    """A PNG of images uint8 [rows * COLUMNS, h, w, c], with a label per row."""
    rows, (_, high, wide, channels) = len(labels), made.shape
    sheet = made.reshape(rows, COLUMNS, high, wide, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * high, COLUMNS * wide, channels).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    margin = np.full((len(sheet), MARGIN, channels), 255, np.uint8)
    whole = np.concatenate([margin, sheet], axis=1)
    image = Image.fromarray(whole[..., 0] if channels == 1 else whole)
    pen = ImageDraw.Draw(image)
    for row, label in enumerate(labels):
        words = fit_text(spelled(label), MARGIN - 8, high * ZOOM, largest=13, smallest=8)
        for place, line in enumerate(words.lines):
            top = int((row + 0.5) * high * ZOOM - words.height / 2) + place * words.line_height
            words.draw(pen, (4, top), line, 0 if channels == 1 else (0, 0, 0))
    return as_png(image)


def ads(
    pool: Pool,
    campaigns: pd.DataFrame,
    sizes: Sequence[AdSize] = (MEDIUM_RECTANGLE,),
    drawn: Mapping[tuple[str, str], bytes] = MappingProxyType({}),
) -> dict[AdSize, dict[str, bytes]]:
    """By size: file name (see `ad_names`) -> PNG of the creative as an ad of that size, in its campaign's colour.

    drawn: PNGs that need not be drawn again, by creative_id and size.
    """
    facts = map(facts_of, pool.creatives["design"])
    words = [{**texts, **shown} for texts, shown in zip(texts_of(pool.creatives, campaigns), facts, strict=True)]
    rows = list(zip(pool.creatives["creative_id"], pool.pictures, words, strict=True))
    return {
        size: {
            _ad_name(name, size): drawn.get((name, size.name)) or ad_png(picture, **texts, size=size)
            for name, picture, texts in rows
        }
        for size in sizes
    }


def _ad_name(creative_id: str, size: AdSize) -> str:
    return file_name(creative_id, f"-{size.name}.png")


def ad_names(pool: Pool, sizes: Sequence[AdSize] = (MEDIUM_RECTANGLE,)) -> dict[str, dict[str, str]]:
    """File name -> creative_id and size of each of `ads`, since the id cannot be computed from the file name."""
    return {
        _ad_name(name, size): {"creative_id": name, "size": size.name}
        for size in sizes
        for name in pool.creatives["creative_id"]
    }


def ads_sheet(made: Mapping[str, bytes]) -> bytes:
    """A PNG with some of the ads of one size, taken evenly from all, so that each campaign is shown."""
    names = sorted(made)
    shown = [names[place] for place in _evenly(len(names), ADS)]
    ads = [np.asarray(Image.open(BytesIO(made[name])).convert("RGB")) for name in shown]
    high, wide, _ = ads[0].shape
    rows = -(-len(ads) // ADS_ACROSS)
    sheet = np.full((rows * (high + GAP) - GAP, ADS_ACROSS * (wide + GAP) - GAP, 3), 255, np.uint8)
    for place, ad in enumerate(ads):
        top, left = place // ADS_ACROSS * (high + GAP), place % ADS_ACROSS * (wide + GAP)
        sheet[top : top + high, left : left + wide] = ad
    return picture_png(sheet)


def people_sheet(tables: Mapping[str, pd.DataFrame], size: AdSize = MEDIUM_RECTANGLE) -> bytes | None:
    """A PNG with some of the ads that people made, of this size; None if none has an image and texts that can be drawn.

    tables: campaigns, creatives, and optionally images and products, whose image an ad without one of its own shows.
    """
    if "images" not in tables:
        return None
    creatives = tables["creatives"][tables["creatives"]["origin"] == PEOPLE]
    images = tables["images"].set_index("image_id")["image"]
    shown = creatives["image_id"]
    if "products" in tables:
        shown = shown.fillna(creatives["product_id"].map(tables["products"].set_index("product_id")["image_id"]))
    shown = shown[shown.isin(images.index) & _drawable(creatives["headline"]) & _drawable(creatives["call_to_action"])]
    if shown.empty:
        return None
    shown = shown.iloc[_evenly(len(shown), ADS)]
    rows = creatives.loc[shown.index]
    drawn = {
        name: ad_png(decode(images[image]), **words, size=size)
        for name, image, words in zip(rows["creative_id"], shown, texts_of(rows, tables["campaigns"]), strict=True)
    }
    return ads_sheet(drawn)


def _evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the places 0 to count - 1, evenly spaced, with the first and the last; int64, increasing."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def _drawable(texts: pd.Series) -> pd.Series:
    """Whether the fonts here have every sign of each text; true for null."""
    return ~texts.isin([text for text in texts.dropna().unique() if undrawable(text) is not None])


def texts_of(creatives: pd.DataFrame, campaigns: pd.DataFrame) -> list[dict[str, str | None]]:
    """The headline, call_to_action, palette, template and brand_color of each creative."""
    colours = campaigns.set_index("campaign")["brand_color"]
    names = ("headline", "call_to_action", "palette", "template")
    return [
        {**{name: _text(getattr(row, name)) for name in names}, "brand_color": _text(colours.get(row.campaign))}
        for row in creatives.itertuples()
    ]


def known_texts(
    tables: Mapping[str, pd.DataFrame], markets: Mapping[str, str] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """The distinct pairs of headline and call to action that people wrote for a campaign, with template and colours.

    marks: those that an ad with a generated image needs there; markets: of `ads.markets`.
    """
    people = tables["creatives"][tables["creatives"]["origin"] == PEOPLE]
    distinct = people.drop_duplicates(["campaign", "headline", "call_to_action"])
    locales = tables["campaigns"].set_index("campaign")["locale"]
    marks = [required_marks(name, locales[name], markets, generated=True) for name in distinct["campaign"]]
    return [
        {**texts, **required} for texts, required in zip(texts_of(distinct, tables["campaigns"]), marks, strict=True)
    ]


def ad_png(
    picture: np.ndarray,
    *,
    headline: str | None,
    call_to_action: str | None,
    palette: str | None,
    template: str | None,
    brand_color: str | None,
    title: str | None = None,
    price: str | None = None,
    marks: Sequence[str] = (),
    size: AdSize = MEDIUM_RECTANGLE,
) -> bytes:
    """The PNG of the ad with the image uint8 [h, w, c] and these texts."""
    parts = Parts(headline, call_to_action, title, price, tuple(marks))
    return picture_png(compose(picture, parts, palette, template, size=size, brand_color=brand_color))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
