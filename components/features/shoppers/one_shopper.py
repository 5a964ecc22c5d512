"""The features of one shopper at one moment, from the shopper's own rows: what a server computes for a request.

The numbers come from the functions that compute the features of a table (shopper_history.py, shopper_activity.py,
pair_values.py); here ids become codes once, and the rows of one shopper a timeline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from components.features.categoricals import join_columns
from components.features.feature_model import FeatureModel
from components.features.pairs.pair_history import (
    CATEGORY,
    PRODUCT,
    PairHistory,
    PairLog,
    PairTables,
    Subjects,
    creative_codes,
    subject_of,
)
from components.features.pairs.pair_values import PairQuery, PairValues
from components.features.products.looks import Looks
from components.features.shoppers.shopper_activity import Shown
from components.features.shoppers.shopper_history import KINDS, AttributeTables
from components.features.timeline import Timeline

TEXTS_KEPT = 50_000  # embeddings of searches that are kept
SELF = np.zeros(1, dtype=np.int64)  # the position of the one shopper


@dataclass(frozen=True)
class ShopperRows:
    """What is known of a shopper, in order of time; moments: int64, microseconds, from which each row is known.

    events: moment, kind, product_id, text, value (product, text and value may be None). shown: moment, campaign,
    creative_id, click (0/1) of each impression.
    """

    events: tuple[tuple[int, str, str | None, str | None, float | None], ...] = ()
    shown: tuple[tuple[int, str, str, int], ...] = ()


class OneShopper:
    """Computes the features of one shopper by a fitted model."""

    def __init__(self, model: FeatureModel, creatives: pd.DataFrame, products: pd.DataFrame | None, looks: Looks):
        """creatives: feature rows; products: the contract's table. looks: of the images that products name."""
        self._model, self._behaviour = model, model.behaviour
        self._tables = AttributeTables.of(products, looks, model.traits)
        known = [] if products is None else products["product_id"]
        self._product = {name: row for row, name in enumerate(known)}
        self._kind = {name: code for code, name in enumerate(KINDS.levels)}
        activity = self._behaviour.activity
        self._active_kind = {name: code for code, name in enumerate(activity.kinds if activity else ())}
        self._vector = lru_cache(TEXTS_KEPT)(self._embedded)
        self._subjects, self._creative, self._of_product = _subjects(creatives, products)
        self._row_of = {name: row for row, name in enumerate(creatives["creative_id"])}

    def past(self, rows: ShopperRows, campaign: str, moment: int) -> np.ndarray:
        """float32 [k], the columns of ShopperHistory.as_of, from rows strictly before `moment` (microseconds)."""
        blocks: list[np.ndarray] = []
        now, behaviour = np.array([moment]), self._behaviour
        timeline = Timeline.of_one(np.array([row[0] for row in rows.events], dtype=np.int64))
        if behaviour.activity is not None:
            kind = np.array([self._active_kind.get(row[1], -1) for row in rows.events], dtype=np.int64)
            value = np.array([row[4] or 0.0 for row in rows.events]) if behaviour.activity.paid else None
            blocks.append(behaviour.activity.at(timeline, kind, value, SELF, now))
        if behaviour.tastes:
            tastes, counts = behaviour.tastes_from(timeline.rows_of(SELF, now), self._attributes(rows, timeline))
            blocks += [*tastes, counts]
        if behaviour.exposure is not None:
            within = [row for row in rows.shown if row[1] == campaign]
            blocks.append(behaviour.exposure.at(_shown(rows.shown), _shown(within), now))
        return join_columns(blocks, 1)[0]

    def pair_values(self, rows: ShopperRows, moment: int, creative: np.ndarray) -> np.ndarray:
        """float32 [n, columns], the pair features of rows `creative` of the creatives, int64 [n]."""
        if not self._model.pairs:
            return np.zeros((len(creative), 0), dtype=np.float32)
        product, category = self._creative[PRODUCT], self._creative[CATEGORY]
        place = np.array([self._row_of.get(row[2], -1) for row in rows.shown], dtype=np.int64)
        impressions = _log(rows.shown, product[place], category[place], "shown")
        codes = [self._of_product.get(row[2], (-1, -1)) for row in rows.events]
        of_product, of_category = np.array(codes, dtype=np.int64).reshape(-1, 2).T
        events = _log(rows.events, of_product, of_category, [row[1] for row in rows.events])
        history = PairHistory(pd.Index([0]), self._subjects, impressions, events)
        subject = {PRODUCT: product[creative], CATEGORY: category[creative]}
        column = np.arange(len(creative))
        query = PairQuery(SELF, np.array([moment]), subject, np.zeros(len(creative), dtype=np.int64), column)
        return PairValues(self._model.pairs, history).of(query)

    def _attributes(self, rows: ShopperRows, timeline: Timeline):
        """The shopper's events by attribute, with tables of the products and texts that occur in them alone."""
        product = np.array([self._product.get(row[2], -1) for row in rows.events], dtype=np.int64)
        used, place = np.unique(product, return_inverse=True)
        known = used >= 0
        place = np.where(known, np.cumsum(known) - 1, -1)[place] if len(used) else product
        texts = list(dict.fromkeys(row[3] for row in rows.events))
        row_of = {text: row for row, text in enumerate(texts)}
        width = 0 if self._tables.text is None else self._tables.text.dimensions
        vectors = np.array([self._vector(text) for text in texts]).reshape(len(texts), width)
        text = np.array([row_of[row[3]] for row in rows.events], dtype=np.int64)
        kind = np.array([self._kind.get(row[1], -1) for row in rows.events], dtype=np.int64)
        return self._tables.taken(used[known]).events(timeline, place, (text, vectors), kind)

    def _embedded(self, text: str | None) -> np.ndarray:
        if self._tables.text is None:
            return np.zeros(0)
        return self._tables.text.embed(pd.Series([text], dtype="str"))[0]


def _shown(rows: Sequence[tuple[int, str, str, int]]) -> Shown:
    timeline = Timeline.of_one(np.array([row[0] for row in rows], dtype=np.int64))
    return Shown(timeline, np.array([row[3] for row in rows], dtype=np.float64), SELF)


def _log(rows, product: np.ndarray, category: np.ndarray, kind: str | list[str]) -> PairLog:
    count = len(rows)
    moment = np.array([row[0] for row in rows], dtype=np.int64)
    kinds = np.full(count, kind, dtype=object) if isinstance(kind, str) else np.array(kind, dtype=object)
    return PairLog(np.zeros(count, dtype=np.int64), {PRODUCT: product, CATEGORY: category}, moment, kinds)


def _subjects(
    creatives: pd.DataFrame, products: pd.DataFrame | None
) -> tuple[Subjects, Mapping[str, np.ndarray], dict[str, tuple[int, int]]]:
    """The subjects of creatives, their codes with -1 appended, and the codes of product and category by product."""
    past = PairTables(None, None if products is None else products[["product_id", "category"]])
    categories = sorted(products["category"].dropna().unique()) if products is not None else []
    subjects = Subjects(pd.Index(subject_of(creatives).unique()), pd.Index(categories, dtype="object"))
    codes = {by: np.append(code, -1) for by, code in creative_codes(subjects, creatives, past).items()}
    if products is None:
        return subjects, codes, {}
    of_product = zip(
        products["product_id"],
        subjects.codes(PRODUCT, products["product_id"]).tolist(),
        subjects.codes(CATEGORY, products["category"]).tolist(),
        strict=True,
    )
    return subjects, codes, {name: (product, category) for name, product, category in of_product}
