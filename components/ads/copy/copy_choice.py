"""Choose the headline, call to action, template and palette with the best score for an image, segment and context.

The candidates are combinations of texts that people wrote for the campaign, as in the pool. The interest model scores
them on a sample of the segment's impressions, with placement and hour replaced by the context's: the same shoppers with
the same histories. (The impressions logged in the context are of other shoppers, and often too few.)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from components.ads.pools.shown_facts import required_marks
from components.contract.origins import PEOPLE
from components.features import FeatureModel, Looks, creative_features
from components.features.products.creative_features import COPY_COLUMNS
from components.interest import CalibratedModel
from components.interest.segment_scores import AUDIENCE_SEGMENT

MAX_COMBINATIONS = 2_000  # compared; if a campaign has more, a random sample of this size
ROUNDING = 1e-6  # relative error of scores, since models compute in float32
NEW_ID = "new"  # id of a new creative, unknown to every model


@dataclass(frozen=True)
class Context:
    """Where and when a creative will be shown: a placement in the log, an hour 0..23; None: any."""

    placement: str | None
    hour: int | None


@dataclass(frozen=True)
class Choice:
    """The chosen texts, and mean P(click) in the context, in (0, 1): with them (`expected`), averaged over all compared
    texts (`average`), and with the texts that would be chosen without a context (`unaware`)."""

    words: Mapping[str, str | None]
    expected: float
    average: float
    unaware: float


@dataclass(frozen=True)
class CopyChooser:
    """An interest model, the feature model that it was trained with, and an audience of `draw_audience`."""

    interest: CalibratedModel
    features: FeatureModel
    audience: pd.DataFrame

    @property
    def placements(self) -> tuple[str, ...]:
        """The placements in the log, the most frequent first; empty if it has none."""
        return self.features.context.placement.levels

    def choose(
        self,
        picture: np.ndarray,
        category: str,
        segment: int,
        campaign: Mapping,
        context: Context,
        *,
        random: np.random.Generator,
    ) -> Choice:
        """The texts for an image uint8 [h, w, c] of a category, in a campaign of `wordings`.

        Of combinations with equal scores, one is drawn at random.
        """
        candidates = combinations(campaign, random)
        rows = made_features(self.features, candidates, campaign, category, picture[None])
        shoppers = self.audience[self.audience[AUDIENCE_SEGMENT] == segment]
        in_context = self.features.context.in_context(shoppers, context.placement, context.hour)
        scores, scores_anywhere = (
            self.interest.predict(impressions, rows).mean(axis=0) for impressions in (in_context, shoppers)
        )
        best = random.choice(_best(scores))
        unaware = float(scores[_best(scores_anywhere)].mean())
        return Choice(texts(candidates.iloc[best]), float(scores[best]), float(scores.mean()), unaware)


def made_features(
    features: FeatureModel, words: pd.DataFrame, campaign: Mapping, category: str, pictures: np.ndarray
) -> pd.DataFrame:
    """Features [n] of creatives with texts `words` (COPY_COLUMNS) [n] and images uint8 [1 or n, h, w, c]."""
    names = [f"{NEW_ID}-{number}" for number in range(len(pictures))]
    looks = Looks.of_pictures(features.traits.look, pd.Series(names, dtype="str"), pictures)
    products = pd.DataFrame({"product_id": [NEW_ID], "category": [category]})
    products = products.reindex(columns=["product_id", "category", "brand", "price", "title", "image_id"])
    ids = {"creative_id": NEW_ID, "campaign": campaign["campaign"], "product_id": NEW_ID, "origin": NEW_ID}
    shown = names * len(words) if len(names) == 1 else names
    return creative_features(features, words.assign(**ids, image_id=shown), products, looks)


def wordings(tables: Mapping[str, pd.DataFrame], markets: Mapping[str, str] = MappingProxyType({})) -> list[dict]:
    """Campaigns with ads by people: campaign, brand_color, the marks that an ad with a generated image needs there, and
    for each of COPY_COLUMNS the distinct texts, sorted. markets: of `ads.markets`."""
    people = tables["creatives"][tables["creatives"]["origin"] == PEOPLE]
    campaigns = tables["campaigns"].set_index("campaign")
    colours, locales = campaigns["brand_color"], campaigns["locale"]
    return [
        {
            "campaign": name,
            "brand_color": None if pd.isna(colours[name]) else colours[name],
            **required_marks(name, locales[name], markets, generated=True),
            **{column: sorted(creatives[column].dropna().unique().tolist()) for column in COPY_COLUMNS},
        }
        for name, creatives in people.groupby("campaign", sort=True)
    ]


def combinations(campaign: Mapping[str, Sequence[str]], random: np.random.Generator) -> pd.DataFrame:
    """COPY_COLUMNS, a row per combination of a campaign's texts, at most MAX_COMBINATIONS; null without a text."""
    texts = [campaign[column] or [None] for column in COPY_COLUMNS]
    count = math.prod(map(len, texts))
    taken = np.arange(count)
    if count > MAX_COMBINATIONS:
        taken = np.sort(random.choice(count, MAX_COMBINATIONS, replace=False))
    places = np.unravel_index(taken, [len(choices) for choices in texts])
    columns = zip(COPY_COLUMNS, texts, places, strict=True)
    return pd.DataFrame({column: pd.array(choices, dtype="str").take(place) for column, choices, place in columns})


def texts(row: pd.Series) -> dict[str, str | None]:
    """The texts of one row of `combinations` by column; None for null."""
    return {name: None if pd.isna(text) else text for name, text in row.items()}


def _best(scores: np.ndarray) -> np.ndarray:
    """The positions of the highest of scores float64 [n], and of those equal to it up to rounding."""
    return np.flatnonzero(scores >= scores.max() * (1 - ROUNDING))
