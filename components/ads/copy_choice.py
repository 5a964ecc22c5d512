"""A picture, its segment and a context -> the headline, call to action, template and palette that should earn most.

What is compared are combinations of what people wrote for one campaign, as in the pool; what judges them is the model
of interest, over a sample of the segment's impressions. That sample is moved into the context: the same shoppers with
the same pasts, as if each were there. (Those logged there are other shoppers, and often too few to judge by.)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.origins import PEOPLE
from components.features import FeatureModel, creative_features
from components.features.products.creative_features import COPY_COLUMNS
from components.images import encode_png
from components.interest import CalibratedModel
from components.interest.segment_scores import AUDIENCE_SEGMENT

MOST = 2_000  # combinations compared; of a campaign that has more, as many are drawn
ROUNDING = 1e-6  # relative: models compute in float32
NEW = "new"  # the id of what is being made: no model knows it


@dataclass(frozen=True)
class Context:
    """Where and when a creative will be shown: a placement that the log knows, an hour 0..23; None: any."""

    placement: str | None
    hour: int | None


@dataclass(frozen=True)
class Choice:
    """The chosen words, and mean P(click) in the context, in (0, 1): with them (`expected`), on average over all that
    were compared (`average`), and with those that would be chosen if no context were known (`unaware`)."""

    words: Mapping[str, str | None]
    expected: float
    average: float
    unaware: float


@dataclass(frozen=True)
class Chooser:
    """A model of interest, the feature model that it was trained with, and an audience as `draw_audience` draws it."""

    interest: CalibratedModel
    features: FeatureModel
    audience: pd.DataFrame

    @property
    def placements(self) -> tuple[str, ...]:
        """The placements that the log knows, the most frequent first; empty where it logs none."""
        return self.features.context.placement.levels

    def choose(
        self,
        picture: np.ndarray,
        category: str,
        segment: int,
        campaign: Mapping,
        context: Context,
        random: np.random.Generator,
    ) -> Choice:
        """uint8 [h, w, c] of a category, and a campaign of `wordings` -> the words to put around it.

        Where the model sees no difference (in calls to action, say), one of the best is drawn.
        """
        asked = combinations(campaign, random)
        rows = made_features(self.features, asked, campaign, category, picture[None])
        own = self.audience[self.audience[AUDIENCE_SEGMENT] == segment]
        moved = self.features.context.in_context(own, context.placement, context.hour)
        there, anywhere = (self.interest.predict(shoppers, rows).mean(axis=0) for shoppers in (moved, own))
        best = random.choice(_best(there))
        unaware = float(there[_best(anywhere)].mean())
        return Choice(texts(asked.iloc[best]), float(there[best]), float(there.mean()), unaware)


def made_features(
    features: FeatureModel, words: pd.DataFrame, campaign: Mapping, category: str, pictures: np.ndarray
) -> pd.DataFrame:
    """Columns COPY_COLUMNS [n] of a campaign, and uint8 [1 or n, h, w, c] of one category -> creative features [n]."""
    names = [f"{NEW}-{number}" for number in range(len(pictures))]
    images = pd.DataFrame({"image_id": names, "image": [encode_png(picture) for picture in pictures]})
    goods = pd.DataFrame({"product_id": [NEW], "category": [category]})
    goods = goods.reindex(columns=["product_id", "category", "brand", "price", "title", "image_id"])
    ids = {"creative_id": NEW, "campaign": campaign["campaign"], "product_id": NEW, "origin": NEW}
    shown = names * len(words) if len(names) == 1 else names
    return creative_features(features, words.assign(**ids, image_id=shown), goods, images)


def wordings(tables: Mapping[str, pd.DataFrame]) -> list[dict]:
    """Campaigns with ads by people: campaign, brand_color, and for each of COPY_COLUMNS the distinct texts, sorted."""
    people = tables["creatives"][tables["creatives"]["origin"] == PEOPLE]
    colours = tables["campaigns"].set_index("campaign")["brand_color"]
    return [
        {
            "campaign": name,
            "brand_color": None if pd.isna(colours[name]) else colours[name],
            **{word: sorted(own[word].dropna().unique().tolist()) for word in COPY_COLUMNS},
        }
        for name, own in people.groupby("campaign", sort=True)
    ]


def combinations(campaign: Mapping[str, Sequence[str]], random: np.random.Generator) -> pd.DataFrame:
    """COPY_COLUMNS with a row per combination of a campaign's texts, at most MOST; null in a column without a text."""
    texts = [campaign[word] or [None] for word in COPY_COLUMNS]
    count = math.prod(len(each) for each in texts)
    taken = np.arange(count)
    if count > MOST:
        taken = np.sort(random.choice(count, MOST, replace=False))
    places = np.unravel_index(taken, [len(each) for each in texts])
    columns = zip(COPY_COLUMNS, texts, places, strict=True)
    return pd.DataFrame({word: pd.array(each, dtype="str").take(place) for word, each, place in columns})


def texts(row: pd.Series) -> dict[str, str | None]:
    """One row of `combinations` -> its texts by name, None where there is none."""
    return {name: None if pd.isna(text) else text for name, text in row.items()}


def _best(scores: np.ndarray) -> np.ndarray:
    """float64 [n] -> the places of the highest, and of those that differ from it by rounding alone."""
    return np.flatnonzero(scores >= scores.max() * (1 - ROUNDING))
