"""Pairs of impressions and creatives -> their pair features, a chunk at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.pairs import PairFeature, pair_feature
from components.features.pairs.pair_history import CATEGORY, PairHistory
from components.features.timeline import Timeline

CHUNK = 1 << 20  # pairs at a time: bounds memory to the result and some tens of CHUNK numbers
COLUMN = "pair_{column}={category}"  # of a table of impressions: the value for any creative of that category


@dataclass(frozen=True)
class AskedPairs:
    """n pairs of m impressions and k creatives.

    shopper: int64 [m], code in a history's shoppers, -1: a stranger; moment: int64 [m], microseconds; subject: by
    PRODUCT and CATEGORY, int64 [k], -1: nothing that is known. row, column: int64 [n], the impression and the creative.
    """

    shopper: np.ndarray
    moment: np.ndarray
    subject: Mapping[str, np.ndarray]
    row: np.ndarray
    column: np.ndarray


def columns_of(names: Sequence[str]) -> tuple[str, ...]:
    """The columns of these pair features, in their order."""
    return tuple(column for name in names for column in pair_feature(name).columns)


class PairValues:
    """Pair features of one history: each is sorted when it is first asked for, and kept."""

    def __init__(self, names: Sequence[str], history: PairHistory):
        self.features = tuple(pair_feature(name) for name in names)
        self.history = history
        self._timelines: dict[str, Timeline] = {}

    def of(self, pairs: AskedPairs) -> np.ndarray:
        """float32 [n, columns], each pair by what happened strictly before its moment."""
        widths = [len(feature.columns) for feature in self.features]
        values = np.empty((len(pairs.row), sum(widths)), dtype=np.float32)
        for start in range(0, len(values), CHUNK):
            rows, column = slice(start, start + CHUNK), 0
            for feature, width in zip(self.features, widths, strict=True):
                values[rows, column : column + width] = self._one(feature, pairs, rows)
                column += width
        return values

    def _one(self, feature: PairFeature, pairs: AskedPairs, rows: slice) -> np.ndarray:
        if feature.name not in self._timelines:
            self._timelines[feature.name] = feature.timeline(self.history)
        timeline, row = self._timelines[feature.name], pairs.row[rows]
        shopper, subject = pairs.shopper[row], pairs.subject[feature.by][pairs.column[rows]]
        key = np.where((shopper >= 0) & (subject >= 0), shopper * feature.width(self.history) + subject, -1)
        place = timeline.shoppers.get_indexer(pd.Index(key)).astype(np.int64)
        return feature.compute(timeline, place, pairs.moment[row])


def by_category(values: PairValues, shopper: np.ndarray, moment: np.ndarray) -> pd.DataFrame:
    """n impressions -> a column for each category and each feature that is about a category alone; none: no columns.

    Whoever has these columns can score a new creative by its category without the shopper's id or the time.
    """
    features = [feature for feature in values.features if feature.by == CATEGORY]
    categories, n = values.history.subjects.category, len(moment)
    columns: dict[str, np.ndarray] = {}
    for feature in features:
        own = PairValues((feature.name,), values.history)
        for code, category in enumerate(categories):
            asked = AskedPairs(shopper, moment, {CATEGORY: np.array([code])}, np.arange(n), np.zeros(n, dtype=np.int64))
            for column, numbers in zip(feature.columns, own.of(asked).T, strict=True):
                columns[COLUMN.format(column=column, category=category)] = numbers
    return pd.DataFrame(columns, index=pd.RangeIndex(n))
