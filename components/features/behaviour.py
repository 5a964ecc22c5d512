"""A shopper's past -> float32 columns as of each impression: activity, tastes, exposure."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.activity import Activity, Exposure
from components.features.history import Timeline, microseconds
from components.features.levels import side_by_side
from components.features.taste import Taste
from components.features.traits import Trait, Traits


@dataclass(frozen=True)
class Asked:
    """Whom and when n rows ask about. moment: int64 [n], microseconds; campaign: whose past exposures count."""

    shopper_id: pd.Series
    campaign: pd.Series
    moment: np.ndarray


@dataclass(frozen=True)
class Touches:
    """Events that say something about one trait. vectors: float64 [m, k]; moment: int64 [m], microseconds."""

    trait: str
    columns: tuple[str, ...]
    shopper_id: pd.Series
    moment: np.ndarray
    vectors: np.ndarray

    def before(self, moment: int) -> "Touches":
        """The touches strictly before `moment`."""
        kept = self.moment < moment
        return Touches(self.trait, self.columns, self.shopper_id[kept], self.moment[kept], self.vectors[kept])


@dataclass(frozen=True)
class Behaviour:
    """What is written about a shopper; None stands for what the data set cannot tell."""

    activity: Activity | None
    tastes: tuple[Taste, ...]
    exposure: Exposure | None

    @property
    def taste_columns(self) -> tuple[str, ...]:
        """`shopper_category:Shirt`: shares in [0, 1], shrunken; `shopper_look:00`: averages of what was touched."""
        return tuple(f"shopper_{column}" for taste in self.tastes for column in taste.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `as_of` returns."""
        activity = self.activity.columns if self.activity else ()
        touches = tuple(f"shopper_touches:{_group(taste)}" for taste in self.tastes)
        return (*activity, *self.taste_columns, *touches, *(self.exposure.columns if self.exposure else ()))

    def as_of(
        self, asked: Asked, events: pd.DataFrame | None, touched: tuple[Touches, ...], impressions: pd.DataFrame
    ) -> np.ndarray:
        """n questions and the log -> float32 [n, columns], each from what happened strictly before its moment."""
        blocks: list[np.ndarray] = []
        if self.activity is not None:
            blocks.append(self.activity.as_of(events, asked.shopper_id, asked.moment))
        averages, counts = self.averages(asked, touched)
        blocks += [*averages, counts]
        if self.exposure is not None:
            blocks.append(self.exposure.as_of(impressions, asked.shopper_id, asked.campaign, asked.moment))
        return side_by_side(blocks, len(asked.moment))

    def averages(self, asked: Asked, touched: tuple[Touches, ...]) -> tuple[list[np.ndarray], np.ndarray]:
        """n questions -> per taste float32 [n, k], and how many touches each rests on, float32 [n, tastes]."""
        averages, counts = [], [np.zeros((len(asked.moment), 0))]
        for taste, touches in zip(self.tastes, touched, strict=True):
            timeline = Timeline.of(touches.shopper_id, touches.moment)
            rows = timeline.rows(asked.shopper_id, asked.moment)
            sums = rows.sums(touches.vectors[timeline.order])
            averages.append(np.round(taste.average(sums, rows.count), 6).astype(np.float32))
            counts.append(rows.count[:, None])
        return averages, np.concatenate(counts, axis=1, dtype=np.float32, casting="unsafe")


def touches_of(
    events: pd.DataFrame | None, products: pd.DataFrame | None, images: pd.DataFrame | None, traits: Traits
) -> tuple[Touches, ...]:
    """events [m] -> per trait the events that touch a product which has it; last, the searches and what they say."""
    if events is None:
        return ()
    moment = microseconds(events["timestamp"])
    found: list[Touches] = []
    if products is not None:
        row = pd.Index(products["product_id"]).get_indexer(pd.Index(events["product_id"]))
        for trait in traits.of(products, images):
            kept = (row >= 0) & trait.known[row]
            found.append(_touches(trait, trait.vectors[row[kept]], events["shopper_id"][kept], moment[kept]))
    if traits.text is not None:
        vectors = traits.text.embed(events["text"])
        kept = vectors.any(axis=1)
        columns = tuple(f"query:{number:02d}" for number in range(vectors.shape[1]))
        found.append(Touches("query", columns, events["shopper_id"][kept], moment[kept], vectors[kept]))
    return tuple(found)


def fit_tastes(touched: tuple[Touches, ...]) -> tuple[Taste, ...]:
    """Touches of training time -> one taste per trait."""
    return tuple(
        Taste.fit(touches.columns, touches.vectors, pd.factorize(touches.shopper_id)[0]) for touches in touched
    )


def _touches(trait: Trait, vectors: np.ndarray, shopper_id: pd.Series, moment: np.ndarray) -> Touches:
    return Touches(trait.name, trait.columns, shopper_id, moment, vectors)


def _group(taste: Taste) -> str:
    return taste.columns[0].partition(":")[0]
