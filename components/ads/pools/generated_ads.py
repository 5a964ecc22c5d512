"""Candidate ads with generated images."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from components.ads.pools.proposals import DRAWS_PER_PLACE, Proposals, by_people, drawn_texts, named
from components.ads.pools.shown_facts import generated_design
from components.contract.files.digests import digest_bytes
from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import NoNewPictures


def generated_ads(
    tables: Mapping[str, pd.DataFrame],
    generators: Sequence[Generator],
    per_campaign: int,
    *,
    seed: int,
    markets: Mapping[str, str] = MappingProxyType({}),
) -> Proposals:
    """Candidates for the tables `campaigns`, `creatives` and optionally `products`.

    Images are drawn for the categories and products that a campaign advertises, for each segment and by each generator
    in turn; texts, templates and palettes are combinations of those that people used in the campaign. A campaign whose
    products have no category of the generators gets none. NoNewPictures if no campaign gets any. markets: of
    `ads.markets`; each ad is marked as generated.
    """
    drawn = [
        _draw(row, tables, generators, per_campaign * DRAWS_PER_PLACE, (seed, place), markets=markets)
        for place, row in enumerate(tables["campaigns"].sort_values("campaign").itertuples())
    ]
    rows = pd.concat([proposal for proposal, _ in drawn], ignore_index=True)
    if rows.empty:
        raise NoNewPictures("no campaign's creatives name a product of a category that the generators know")
    return Proposals(rows, np.concatenate([pictures for _, pictures in drawn if len(pictures)]))


def _draw(
    campaign, tables, generators, count: int, seed: tuple[int, int], *, markets: Mapping[str, str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Proposals for one campaign: rows of `Proposals`, and images uint8 [n, h, w, c]."""
    own = by_people(tables, campaign.campaign)
    advertised = _advertised(own, tables.get("products"), generators[0].categories)
    random = np.random.default_rng(seed)
    if advertised.empty:
        return pd.DataFrame(), np.empty((0, *generators[0].shape), np.uint8)
    rows = advertised.iloc[random.integers(0, len(advertised), count)].reset_index(drop=True)
    segments = np.arange(count) % (generators[0].segments or 1)
    # the generator changes after a round of all segments, so that each draws for each segment
    makers = (np.arange(count) // max(generators[0].segments, 1)) % len(generators)
    texts = drawn_texts(own, count, random)
    pictures = np.empty((count, *generators[0].shape), np.uint8)
    seeds = random.integers(0, 2**31, len(generators))
    codes = rows["category"].map({name: code for code, name in enumerate(generators[0].categories)}).to_numpy(np.int64)
    for maker, generator in enumerate(generators):
        drawn = makers == maker
        pictures[drawn] = generator.sample(codes[drawn], segments[drawn], int(seeds[maker]))
    conditions = [
        json.dumps({"category": category, "segment": int(segment), "draw": int(draw)}, sort_keys=True)
        for category, segment, draw in zip(rows["category"], segments, _places(makers), strict=True)
    ]
    proposals = rows.assign(
        campaign=campaign.campaign,
        origin=[generators[maker].name for maker in makers],
        seed=seeds[makers],
        conditions=conditions,
        segment=segments,
        design=generated_design(campaign.campaign, campaign.locale, markets),
        **texts,
    )
    contents = [
        {**row, "picture": digest_bytes(picture.tobytes())}
        for row, picture in zip(proposals.to_dict("records"), pictures, strict=True)
    ]
    ids = named(proposals["campaign"], "made", contents)
    return proposals.assign(creative_id=ids, image_id=[f"image-{name}" for name in ids]), pictures


def _advertised(own: pd.DataFrame, products: pd.DataFrame | None, known: tuple[str, ...]) -> pd.DataFrame:
    """Columns product_id, category: one row per creative by people whose product's category is in `known`."""
    if products is None:
        # without products, every category of the generators can be advertised
        return pd.DataFrame({"product_id": [None] * len(known), "category": list(known)})
    joined = own[["product_id"]].merge(products[["product_id", "category"]], on="product_id")
    return joined[joined["category"].isin(known)].sort_values("product_id", kind="stable").reset_index(drop=True)


def _places(makers: np.ndarray) -> np.ndarray:
    """int [n]: the index of each image in its generator's draw, so that (seed, draw) makes it again."""
    places = np.empty(len(makers), dtype=np.int64)
    for maker in np.unique(makers):
        drawn = makers == maker
        places[drawn] = np.arange(drawn.sum())
    return places
