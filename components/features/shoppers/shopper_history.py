"""Point-in-time features of shoppers: activity, averages of product attributes (tastes), and exposure to ads."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.schema import EVENT_KINDS
from components.features.categoricals import Levels, join_columns
from components.features.products.looks import Looks
from components.features.products.product_attributes import AttributeVectors, Groups, ProductAttributes
from components.features.products.text_space import TextSpace
from components.features.shoppers.between_shoppers import ShopperEvents
from components.features.shoppers.shopper_activity import Activity, Exposure
from components.features.shoppers.tastes import Taste, fit_taste
from components.features.timeline import DAY, Rows, Timeline, microseconds, positions

KINDS = Levels("kind", EVENT_KINDS)


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
    distinct vectors; row: int32 [m], each event's row of the table; group: the products with which each
    vector's product competes: those of its category and language; of its language for the category itself; all for
    queries and kinds.
    """

    trait: str
    columns: tuple[str, ...]
    timeline: Timeline
    chosen: np.ndarray
    table: np.ndarray
    row: np.ndarray
    group: Groups

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
    tastes: tuple[Taste, ...]
    exposure: Exposure | None

    @property
    def taste_columns(self) -> tuple[str, ...]:
        """Names such as `shopper_category:Shirt` and `shopper_look:00`, in log-odds; see tastes.py."""
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
        tastes, counts = self.tastes_of(query, events_by_attribute)
        blocks += [*tastes, counts]
        if self.exposure is not None:
            blocks.append(self.exposure.as_of(impressions, query.shopper_id, query.campaign, query.moment))
        return join_columns(blocks, len(query.moment))

    def tastes_of(
        self, query: HistoryQuery, events_by_attribute: tuple[AttributeEvents, ...]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """By taste float32 [n, k], and the number of events that each is estimated from, float32 [n, tastes]."""
        if not self.tastes:
            return [], np.zeros((len(query.moment), 0), dtype=np.float32)
        # the rows are computed once, since all attributes share one timeline
        past = events_by_attribute[0].timeline.rows(query.shopper_id, query.moment)
        return self.tastes_from(past, events_by_attribute)

    def tastes_from(
        self, past: Rows, events_by_attribute: tuple[AttributeEvents, ...]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """`tastes_of` from ranges of the timeline that the attributes share."""
        estimates, counts = [], []
        for taste, attribute in zip(self.tastes, events_by_attribute, strict=True):
            rows = past.within(attribute.chosen)
            estimate = taste.estimate(rows, attribute.table, attribute.row, attribute.group.code)
            estimates.append(np.round(estimate, 6).astype(np.float32))
            counts.append(rows.count[:, None])
        return estimates, np.concatenate(counts, axis=1, dtype=np.float32, casting="unsafe")


@dataclass(frozen=True)
class AttributeTables:
    """The attributes of all products, with the groups of products that compete: `by_product`; whether searches have
    vectors of `text`. They turn the codes of events into AttributeEvents.
    """

    by_product: tuple[tuple[AttributeVectors, Groups], ...]
    text: TextSpace | None

    @classmethod
    def of(cls, products: pd.DataFrame | None, looks: Looks, traits: ProductAttributes) -> "AttributeTables":
        """Of the contract's products [n]; None: a data set without any."""
        if products is None:
            return cls((), traits.text)
        languages, markets = traits.languages_of(products), traits.markets_of(products)
        attributes = traits.of(products, looks)
        return cls(
            tuple((trait, languages if trait.name == "category" else markets) for trait in attributes), traits.text
        )

    def taken(self, rows: np.ndarray) -> "AttributeTables":
        """Of the products at `rows`, int64 [r], alone."""
        taken = tuple(
            (
                AttributeVectors(trait.name, trait.columns, trait.vectors[rows], trait.known[rows]),
                Groups(group.code[rows], group.count),
            )
            for trait, group in self.by_product
        )
        return AttributeTables(taken, self.text)

    def events(
        self, timeline: Timeline, product: np.ndarray, text: tuple[np.ndarray, np.ndarray], kind: np.ndarray
    ) -> tuple[AttributeEvents, ...]:
        """By attribute of products, the events with a product that has it; then searches; then all events by kind.

        In the timeline's order: product: int64 [m], rows of the products, -1: none; text: rows int64 [m] of a table of
        vectors float64 [t, k]; kind: int64 [m], codes of KINDS, -1: none.
        """
        sets = []
        for trait, group in self.by_product:
            chosen = np.append(trait.known, False)[product]
            sets.append(_event_set(trait.name, trait.columns, timeline, chosen, (trait.vectors, product, group)))
        if self.text is not None:
            row, vectors = text
            columns = tuple(f"query:{number:02d}" for number in range(vectors.shape[1]))
            searched = vectors.any(axis=1)[row]
            sets.append(_event_set("query", columns, timeline, searched, (vectors, row, Groups.one(len(vectors)))))
        eye = np.eye(len(KINDS.levels))
        sets.append(_event_set("kind", KINDS.columns, timeline, kind >= 0, (eye, kind, Groups.one(len(eye)))))
        return tuple(sets)


def attribute_events(
    events: pd.DataFrame | None, products: pd.DataFrame | None, looks: Looks, traits: ProductAttributes
) -> tuple[AttributeEvents, ...]:
    """By attribute of products, the events with a product that has it; then searches by their texts; then all events
    by their kinds."""
    if events is None:
        return ()
    timeline, tables = _timeline(events), AttributeTables.of(products, looks, traits)
    product = np.full(len(events), -1)
    if products is not None:
        product = positions(events["product_id"], pd.Index(products["product_id"]))[timeline.order]
    text = np.zeros(len(events), dtype=np.int64), np.zeros((1, 0))
    if traits.text is not None:
        row, vectors = traits.text.distinct(events["text"])
        text = row[timeline.order], vectors
    return tables.events(timeline, product, text, KINDS.codes(events["kind"])[timeline.order])


def fit_tastes(events_by_attribute: tuple[AttributeEvents, ...]) -> tuple[Taste, ...]:
    """One taste per attribute, fitted on events of training time."""
    return tuple(
        fit_taste(
            attribute.columns,
            ShopperEvents(
                attribute.table,
                attribute.row,
                attribute.group.code,
                attribute.group.count,
                attribute.shopper,
                attribute.moment // DAY,
            ),
        )
        for attribute in events_by_attribute
    )


def _timeline(events: pd.DataFrame) -> Timeline:
    return Timeline.of(events["shopper_id"], microseconds(events["timestamp"]))


def _event_set(
    trait: str,
    columns: tuple[str, ...],
    timeline: Timeline,
    chosen: np.ndarray,
    vectors: tuple[np.ndarray, np.ndarray, Groups],
) -> AttributeEvents:
    """vectors: the table, each event's row of it, and the group of each row of the table."""
    table, row, group = vectors
    return AttributeEvents(trait, columns, timeline, chosen, table, row[chosen].astype(np.int32), group)


def _group(taste: Taste) -> str:
    return taste.columns[0].partition(":")[0]
