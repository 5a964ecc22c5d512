"""Compute the pair features of pairs (impression, creative), a chunk at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.pairs import PairFeature, pair_feature
from components.features.pairs.pair_history import CATEGORY, PairHistory
from components.features.timeline import Timeline

CHUNK = 1 << 20  # pairs at a time, which bounds memory to the result and some tens of CHUNK numbers
CATEGORY_COLUMN = (
    "pair_{column}={category}"  # name of an impressions' column: the value for any creative of that category
)


@dataclass(frozen=True)
class PairQuery:
    """n pairs of m impressions and k creatives.

    shopper: int64 [m], code in a history's shoppers, -1: unknown; moment: int64 [m], microseconds; subject: by PRODUCT
    and CATEGORY, int64 [k], -1: unknown; row, column: int64 [n], each pair's impression and creative.
    """

    shopper: np.ndarray
    moment: np.ndarray
    subject: Mapping[str, np.ndarray]
    row: np.ndarray
    column: np.ndarray


def pair_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The column names of the pair features `names`, in their order."""
    return tuple(column for name in names for column in pair_feature(name).columns)


class PairValues:
    """The pair features of one history. Each feature's timeline is sorted at its first use and stored."""

    def __init__(self, names: Sequence[str], history: PairHistory):
        self.features = tuple(pair_feature(name) for name in names)
        self.history = history
        self._timelines: dict[str, Timeline] = {}

    def of(self, pairs: PairQuery) -> np.ndarray:
        """float32 [n, columns], from rows strictly before each pair's moment."""
        widths = [len(feature.columns) for feature in self.features]
        values = np.empty((len(pairs.row), sum(widths)), dtype=np.float32)
        for start in range(0, len(values), CHUNK):
            rows, column = slice(start, start + CHUNK), 0
            for feature, width in zip(self.features, widths, strict=True):
                values[rows, column : column + width] = self._one(feature, pairs, rows)
                column += width
        return values

    def _one(self, feature: PairFeature, pairs: PairQuery, rows: slice) -> np.ndarray:
        if feature.name not in self._timelines:
            self._timelines[feature.name] = feature.timeline(self.history)
        timeline, row = self._timelines[feature.name], pairs.row[rows]
        shopper, subject = pairs.shopper[row], pairs.subject[feature.by][pairs.column[rows]]
        key = np.where((shopper >= 0) & (subject >= 0), shopper * feature.width(self.history) + subject, -1)
        place = timeline.shoppers.get_indexer(pd.Index(key)).astype(np.int64)
        return feature.compute(timeline, place, pairs.moment[row])


def values_by_category(values: PairValues, shopper: np.ndarray, moment: np.ndarray) -> pd.DataFrame:
    """For n impressions, a column for each category and each feature by CATEGORY.

    With these columns a new creative can be scored by its category, without the shopper's id or the time.
    """
    features = [feature for feature in values.features if feature.by == CATEGORY]
    categories, n = values.history.subjects.category, len(moment)
    columns: dict[str, np.ndarray] = {}
    for feature in features:
        single = PairValues((feature.name,), values.history)
        for code, category in enumerate(categories):
            query = PairQuery(shopper, moment, {CATEGORY: np.array([code])}, np.arange(n), np.zeros(n, dtype=np.int64))
            for column, numbers in zip(feature.columns, single.of(query).T, strict=True):
                columns[CATEGORY_COLUMN.format(column=column, category=category)] = numbers
    return pd.DataFrame(columns, index=pd.RangeIndex(n))
