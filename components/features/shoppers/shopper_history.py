"""A shopper's past -> float32 columns as of each impression: activity, tastes, exposure."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, side_by_side
from components.features.products.product_attributes import Traits
from components.features.shoppers.shopper_activity import Activity, Exposure
from components.features.shoppers.shrunken_average import Taste, Touched, centred
from components.features.timeline import Rows, Timeline, microseconds, places

KINDS = Levels("kind", ("view", "click", "search", "like", "comment", "share", "review", "cart", "purchase"))


@dataclass(frozen=True)
class Asked:
    """Whom and when n rows ask about. moment: int64 [n], microseconds; campaign: whose past exposures count."""

    shopper_id: pd.Series
    campaign: pd.Series
    moment: np.ndarray


@dataclass(frozen=True)
class Touches:
    """Events that say something about one trait, m of all events on a timeline, in its order.

    timeline: of all events, shared by all traits; chosen: bool [events], which of them touch the trait; table: float64
    [r, k], the vectors that there are; row: int32 [m], which of them each touch is; group: int32 [r], the category of
    each vector's product (the number of categories where it has none), None for a trait that is read as it is.
    """

    trait: str
    columns: tuple[str, ...]
    timeline: Timeline
    chosen: np.ndarray
    table: np.ndarray
    row: np.ndarray
    group: np.ndarray | None

    @property
    def shopper(self) -> np.ndarray:
        """int64 [m], positions in `timeline.shoppers`."""
        return self.timeline.shopper[self.chosen]

    @property
    def shoppers(self) -> pd.Series:
        """The distinct ids of shoppers with a touch."""
        return pd.Series(self.timeline.shoppers[np.unique(self.shopper)], dtype="str")

    @property
    def moment(self) -> np.ndarray:
        """int64 [m], microseconds."""
        return self.timeline.moment[self.chosen]


@dataclass(frozen=True)
class Behaviour:
    """What is written about a shopper; None stands for what the data set cannot tell."""

    activity: Activity | None
    tastes: tuple[Taste, ...]
    exposure: Exposure | None

    @property
    def taste_columns(self) -> tuple[str, ...]:
        """`shopper_category:Shirt`: shares in [0, 1], shrunken; `shopper_look:00`: averages of what was touched, as
        differences from what is usual in its category."""
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
            timeline = touched[0].timeline if touched else _timeline(events)
            blocks.append(self.activity.as_of(events, timeline, asked.shopper_id, asked.moment))
        averages, counts = self.averages(asked, touched)
        blocks += [*averages, counts]
        if self.exposure is not None:
            blocks.append(self.exposure.as_of(impressions, asked.shopper_id, asked.campaign, asked.moment))
        return side_by_side(blocks, len(asked.moment))

    def averages(self, asked: Asked, touched: tuple[Touches, ...]) -> tuple[list[np.ndarray], np.ndarray]:
        """n questions -> per taste float32 [n, k], and how many touches each rests on, float32 [n, tastes]."""
        averages, counts = [], [np.zeros((len(asked.moment), 0))]
        past: Rows | None = None  # one timeline for all: the events that all traits choose from
        for taste, touches in zip(self.tastes, touched, strict=True):
            past = touches.timeline.rows(asked.shopper_id, asked.moment) if past is None else past
            rows = past.among(touches.chosen)
            sums = rows.sums_of(centred(touches.table, touches.group, taste.centres), touches.row)
            averages.append(np.round(taste.average(sums, rows.count), 6).astype(np.float32))
            counts.append(rows.count[:, None])
        return averages, np.concatenate(counts, axis=1, dtype=np.float32, casting="unsafe")


def touches_of(
    events: pd.DataFrame | None, products: pd.DataFrame | None, images: pd.DataFrame | None, traits: Traits
) -> tuple[Touches, ...]:
    """events [m] -> per trait the events that touch a product which has it; then the searches and what they say; last,
    the kinds of all events."""
    if events is None:
        return ()
    timeline, found = _timeline(events), []
    if products is not None:
        product = places(events["product_id"], pd.Index(products["product_id"]))[timeline.order]
        category = traits.category.codes(products["category"])
        group = np.where(category >= 0, category, len(traits.category.levels)).astype(np.int32)
        for trait in traits.of(products, images):
            chosen = (product >= 0) & trait.known[product]
            within = None if trait.name == "category" else group
            found.append(_touches(trait.name, trait.columns, timeline, chosen, (trait.vectors, product, within)))
    if traits.text is not None:
        text, vectors = traits.text.distinct(events["text"])
        text = text[timeline.order]
        columns = tuple(f"query:{number:02d}" for number in range(vectors.shape[1]))
        found.append(_touches("query", columns, timeline, vectors.any(axis=1)[text], (vectors, text, None)))
    kind = KINDS.codes(events["kind"])[timeline.order]
    found.append(_touches("kind", KINDS.columns, timeline, kind >= 0, (np.eye(len(KINDS.levels)), kind, None)))
    return tuple(found)


def fit_tastes(touched: tuple[Touches, ...]) -> tuple[Taste, ...]:
    """Touches of training time -> one taste per trait."""
    return tuple(
        Taste.of(touches.columns, Touched(touches.table, touches.row, touches.shopper, touches.group))
        for touches in touched
    )


def _timeline(events: pd.DataFrame) -> Timeline:
    return Timeline.of(events["shopper_id"], microseconds(events["timestamp"]))


def _touches(
    trait: str, columns: tuple[str, ...], timeline: Timeline, chosen: np.ndarray, vectors: tuple[np.ndarray, ...]
) -> Touches:
    """vectors: the table, which row of it each event touches, and the group of each row."""
    table, row, group = vectors
    return Touches(trait, columns, timeline, chosen, table, row[chosen].astype(np.int32), group)


def _group(taste: Taste) -> str:
    return taste.columns[0].partition(":")[0]
