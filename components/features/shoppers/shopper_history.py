"""Point-in-time features of shoppers: activity, averages of product attributes (tastes), and exposure to ads."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, join_columns
from components.features.products.looks import Looks
from components.features.products.product_attributes import ProductAttributes
from components.features.shoppers.shopper_activity import Activity, Exposure
from components.features.shoppers.shrunken_average import EventVectors, ShrunkenAverage, centred
from components.features.timeline import Rows, Timeline, microseconds, positions

EVENT_KINDS = Levels("kind", ("view", "click", "search", "like", "comment", "share", "review", "cart", "purchase"))


@dataclass(frozen=True)
class HistoryQuery:
    """n shoppers and times to compute features for. moment: int64 [n], microseconds; campaign: for exposure counts."""

    shopper_id: pd.Series
    campaign: pd.Series
    moment: np.ndarray


@dataclass(frozen=True)
class AttributeEvents:
    """The m events of a timeline whose product (or query, or kind) has a vector of one attribute, in its order.

    timeline: of all events, shared by all attributes; chosen: bool [events], the m events; table: float64 [r, k], the
    distinct vectors; row: int32 [m], each event's row of the table; group: int32 [r], the category of each vector's
    product (the number of categories if it has none), None for an attribute that is not averaged within categories.
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
        """The distinct ids of shoppers with such an event."""
        return pd.Series(self.timeline.shoppers[np.unique(self.shopper)], dtype="str")

    @property
    def moment(self) -> np.ndarray:
        """int64 [m], microseconds."""
        return self.timeline.moment[self.chosen]


@dataclass(frozen=True)
class ShopperHistory:
    """The features of a shopper; None for those that the data set does not have."""

    activity: Activity | None
    tastes: tuple[ShrunkenAverage, ...]
    exposure: Exposure | None

    @property
    def taste_columns(self) -> tuple[str, ...]:
        """Names such as `shopper_category:Shirt`, a shrunken share in [0, 1], and `shopper_look:00`, a shrunken average
        of differences from the category's mean."""
        return tuple(f"shopper_{column}" for taste in self.tastes for column in taste.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `as_of` returns."""
        activity = self.activity.columns if self.activity else ()
        counts = tuple(f"shopper_touches:{_group(taste)}" for taste in self.tastes)
        return (*activity, *self.taste_columns, *counts, *(self.exposure.columns if self.exposure else ()))

    def as_of(
        self,
        query: HistoryQuery,
        events: pd.DataFrame | None,
        events_by_attribute: tuple[AttributeEvents, ...],
        impressions: pd.DataFrame,
    ) -> np.ndarray:
        """float32 [n, columns] for `query`, from events and impressions strictly before each moment."""
        blocks: list[np.ndarray] = []
        if self.activity is not None:
            timeline = events_by_attribute[0].timeline if events_by_attribute else _timeline(events)
            blocks.append(self.activity.as_of(events, timeline, query.shopper_id, query.moment))
        averages, counts = self.averages(query, events_by_attribute)
        blocks += [*averages, counts]
        if self.exposure is not None:
            blocks.append(self.exposure.as_of(impressions, query.shopper_id, query.campaign, query.moment))
        return join_columns(blocks, len(query.moment))

    def averages(
        self, query: HistoryQuery, events_by_attribute: tuple[AttributeEvents, ...]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """By taste float32 [n, k], and the number of events that each average is of, float32 [n, tastes]."""
        averages, counts = [], [np.zeros((len(query.moment), 0))]
        past: Rows | None = None  # computed once, since all attributes share one timeline
        for taste, attribute in zip(self.tastes, events_by_attribute, strict=True):
            past = attribute.timeline.rows(query.shopper_id, query.moment) if past is None else past
            rows = past.within(attribute.chosen)
            sums = rows.sums_of(centred(attribute.table, attribute.group, taste.centres), attribute.row)
            averages.append(np.round(taste.average(sums, rows.count), 6).astype(np.float32))
            counts.append(rows.count[:, None])
        return averages, np.concatenate(counts, axis=1, dtype=np.float32, casting="unsafe")


def attribute_events(
    events: pd.DataFrame | None, products: pd.DataFrame | None, looks: Looks, traits: ProductAttributes
) -> tuple[AttributeEvents, ...]:
    """By attribute of products, the events with a product that has it; then searches by their texts; then all events
    by their kinds."""
    if events is None:
        return ()
    timeline, sets = _timeline(events), []
    if products is not None:
        product = positions(events["product_id"], pd.Index(products["product_id"]))[timeline.order]
        category = traits.category.codes(products["category"])
        group = np.where(category >= 0, category, len(traits.category.levels)).astype(np.int32)
        for trait in traits.of(products, looks):
            chosen = (product >= 0) & trait.known[product]
            within = None if trait.name == "category" else group
            sets.append(_event_set(trait.name, trait.columns, timeline, chosen, (trait.vectors, product, within)))
    if traits.text is not None:
        text, vectors = traits.text.distinct(events["text"])
        text = text[timeline.order]
        columns = tuple(f"query:{number:02d}" for number in range(vectors.shape[1]))
        sets.append(_event_set("query", columns, timeline, vectors.any(axis=1)[text], (vectors, text, None)))
    kind = EVENT_KINDS.codes(events["kind"])[timeline.order]
    vectors = np.eye(len(EVENT_KINDS.levels))
    sets.append(_event_set("kind", EVENT_KINDS.columns, timeline, kind >= 0, (vectors, kind, None)))
    return tuple(sets)


def fit_averages(events_by_attribute: tuple[AttributeEvents, ...]) -> tuple[ShrunkenAverage, ...]:
    """One taste per attribute, fitted on events of training time."""
    return tuple(
        ShrunkenAverage.of(
            attribute.columns, EventVectors(attribute.table, attribute.row, attribute.shopper, attribute.group)
        )
        for attribute in events_by_attribute
    )


def _timeline(events: pd.DataFrame) -> Timeline:
    return Timeline.of(events["shopper_id"], microseconds(events["timestamp"]))


def _event_set(
    trait: str, columns: tuple[str, ...], timeline: Timeline, chosen: np.ndarray, vectors: tuple[np.ndarray, ...]
) -> AttributeEvents:
    """vectors: the table, each event's row of it, and the group of each row of the table."""
    table, row, group = vectors
    return AttributeEvents(trait, columns, timeline, chosen, table, row[chosen].astype(np.int32), group)


def _group(taste: ShrunkenAverage) -> str:
    return taste.columns[0].partition(":")[0]
