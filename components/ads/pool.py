"""Fill each campaign's pool with new creatives: draw many, admit some, and choose those with the best scores."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from components.ads.admission import Candidates, Standards, admit
from components.contract.conform import conform, to_pandas
from components.contract.files.digests import digest_bytes, digest_json
from components.contract.origins import PEOPLE
from components.contract.schema import TABLES
from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import NoNewPictures
from components.images import encode_png
from components.settings.errors import UserError

DRAWS_PER_PLACE = 6  # images drawn for each place in the pool
IN_CATALOGUE = "is in the catalogue already"

# creatives [n], their images uint8 [n, h, w, c] -> expected click-through, float64 [n, segments]
Score = Callable[[pd.DataFrame, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pool:
    """New creatives of all campaigns.

    creatives, images: rows with exactly the contract's columns; pictures: uint8 [n, h, w, c], the images; ranking:
    creative_id, campaign, segment, score, rank (1 is best within campaign and segment); drawn: number of images;
    refused: reason -> number of refused candidates.
    """

    creatives: pd.DataFrame
    images: pd.DataFrame
    pictures: np.ndarray
    ranking: pd.DataFrame
    drawn: int
    refused: Mapping[str, int]

    def remarks(self) -> tuple[str, ...]:
        """A sentence on how many of the drawn images were refused, and why."""
        refused = ", ".join(f"{reason} ({count})" for reason, count in self.refused.items())
        empty = "" if len(self.creatives) else "; the pool stays empty"
        return (f"pool: of {self.drawn} images drawn, not admitted: {refused or 'none'}{empty}",)


def fill_pool(
    tables: Mapping[str, pd.DataFrame],
    generators: Sequence[Generator],
    standards: Standards,
    score: Score,
    per_campaign: int,
    *,
    seed: int,
    active_from: pd.Timestamp | None = None,
) -> Pool:
    """The pool for the tables `campaigns`, `creatives` and optionally `products`.

    Images are drawn for the categories and products that a campaign advertises, for each segment and by each generator
    in turn; texts, templates and palettes are combinations of those that people used in the campaign. A campaign whose
    products have no category of the generators gets no creatives. Candidates that ADMISSION_RULES refuse by `standards`
    are counted and left out. active_from: null: always active. NoNewPictures if no campaign gets any creative.
    """
    drawn = [
        _draw(row, tables, generators, per_campaign * DRAWS_PER_PLACE, (seed, place))
        for place, row in enumerate(tables["campaigns"].sort_values("campaign").itertuples())
    ]
    proposals = pd.concat([proposal for proposal, _ in drawn], ignore_index=True)
    if proposals.empty:
        raise NoNewPictures("no campaign's creatives name a product of a category that the generators know")
    pictures = np.concatenate([pictures for _, pictures in drawn if len(pictures)])
    locales = tables["campaigns"].set_index("campaign")["locale"]
    words = proposals.assign(locale=proposals["campaign"].map(locales))
    reasons = admit(Candidates(words, pictures), standards)
    reasons[proposals["creative_id"].isin(tables["creatives"]["creative_id"]).to_numpy()] = IN_CATALOGUE
    sound = np.flatnonzero(reasons == "")
    proposals, pictures = proposals.iloc[sound].reset_index(drop=True), pictures[sound]
    creatives = _contract_rows("creatives", proposals.assign(active_from=active_from))
    scores = _checked(score(creatives, pictures), len(creatives), generators[0].segments)
    chosen = _choose(proposals, scores, per_campaign)
    return Pool(
        creatives=creatives.iloc[chosen].reset_index(drop=True),
        images=_image_rows(proposals.iloc[chosen].reset_index(drop=True), pictures[chosen]),
        pictures=pictures[chosen],
        ranking=_rank(proposals.iloc[chosen], scores[chosen]),
        drawn=len(reasons),
        refused=dict(sorted(Counter(reasons[reasons != ""]).items())),
    )


def _draw(campaign, tables, generators, count: int, seed: tuple[int, int]) -> tuple[pd.DataFrame, np.ndarray]:
    """Proposals for one campaign: rows (contract's creatives, plus category and segment), uint8 [n, h, w, c]."""
    creatives = tables["creatives"]
    by_people = creatives[(creatives["campaign"] == campaign.campaign) & (creatives["origin"] == PEOPLE)]
    advertised = _advertised(by_people, tables.get("products"), generators[0].categories)
    random = np.random.default_rng(seed)
    if advertised.empty:
        return pd.DataFrame(), np.empty((0, *generators[0].shape), np.uint8)
    rows = advertised.iloc[random.integers(0, len(advertised), count)].reset_index(drop=True)
    segments = np.arange(count) % (generators[0].segments or 1)
    # the generator changes after a round of all segments, so that each draws for each segment
    makers = (np.arange(count) // max(generators[0].segments, 1)) % len(generators)
    columns = ("template", "headline", "call_to_action", "palette")
    texts = {name: _choices(by_people[name], count, random) for name in columns}
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
        **texts,
    )
    ids = _ids(proposals, pictures)
    return proposals.assign(creative_id=ids, image_id=[f"image-{name}" for name in ids]), pictures


def _ids(proposals: pd.DataFrame, pictures: np.ndarray) -> list[str]:
    """Ids `<campaign>-made-<digest of row and image>`, so that an id never refers to two creatives."""
    digests = [
        digest_json({**row, "picture": digest_bytes(picture.tobytes())})
        for row, picture in zip(proposals.to_dict("records"), pictures, strict=True)
    ]
    return [f"{campaign}-made-{digest[:12]}" for campaign, digest in zip(proposals["campaign"], digests, strict=True)]


def _advertised(own: pd.DataFrame, products: pd.DataFrame | None, known: tuple[str, ...]) -> pd.DataFrame:
    """Columns product_id, category: one row per creative by people whose product's category is in `known`."""
    if products is None:
        # without products, every category of the generators can be advertised
        return pd.DataFrame({"product_id": [None] * len(known), "category": list(known)})
    joined = own[["product_id"]].merge(products[["product_id", "category"]], on="product_id")
    return joined[joined["category"].isin(known)].sort_values("product_id", kind="stable").reset_index(drop=True)


def _choices(values: pd.Series, count: int, random: np.random.Generator) -> np.ndarray:
    """`count` draws from a campaign's texts, with probabilities as often as people used each; None without texts."""
    used = values.dropna().sort_values(kind="stable").to_numpy(dtype=object)
    return used[random.integers(0, len(used), count)] if len(used) else np.full(count, None, dtype=object)


def _places(makers: np.ndarray) -> np.ndarray:
    """int [n]: the index of each image in its generator's draw, so that (seed, draw) makes it again."""
    places = np.empty(len(makers), dtype=np.int64)
    for maker in np.unique(makers):
        drawn = makers == maker
        places[drawn] = np.arange(drawn.sum())
    return places


def _contract_rows(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    declared = TABLES[table]
    whole = rows.reindex(columns=[column.name for column in declared.columns])
    return to_pandas(conform(pa.Table.from_pandas(whole, preserve_index=False), declared, "memory"), declared)


def _image_rows(proposals: pd.DataFrame, pictures: np.ndarray) -> pd.DataFrame:
    rows = proposals[["image_id", "category"]].assign(image=[encode_png(picture) for picture in pictures])
    return _contract_rows("images", rows)


def _checked(scores: np.ndarray, creatives: int, segments: int) -> np.ndarray:
    if scores.shape != (creatives, segments) or not np.isfinite(scores).all():
        raise UserError(
            f"the interest model must score {creatives} creatives for {segments} segments with finite numbers, "
            f"got {scores.shape}"
        )
    return scores


def _choose(proposals: pd.DataFrame, scores: np.ndarray, per_campaign: int) -> np.ndarray:
    """The chosen rows, in order: in each campaign, segments choose in turn the best of the remaining rows."""
    chosen: list[int] = []
    for rows in proposals.groupby("campaign", sort=True).indices.values():
        queues = [list(rows[np.argsort(-scores[rows, segment], kind="stable")]) for segment in range(scores.shape[1])]
        taken: list[int] = []
        turn = 0
        while len(taken) < min(per_campaign, len(rows)):
            queue = queues[turn % len(queues)]
            taken.append(next(row for row in queue if row not in taken))
            turn += 1
        chosen.extend(sorted(taken))
    return np.array(chosen, dtype=np.int64)


def _rank(chosen: pd.DataFrame, scores: np.ndarray) -> pd.DataFrame:
    segments = scores.shape[1]
    ranking = pd.DataFrame(
        {
            "creative_id": np.repeat(chosen["creative_id"].to_numpy(), segments),
            "campaign": np.repeat(chosen["campaign"].to_numpy(), segments),
            "segment": np.tile(np.arange(segments), len(chosen)),
            "score": scores.ravel(),
        }
    )
    order = ranking.groupby(["campaign", "segment"])["score"].rank(method="first", ascending=False)
    return ranking.assign(rank=order.astype("int64")).sort_values(["campaign", "segment", "rank"], ignore_index=True)
