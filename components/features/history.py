"""Happenings of many shoppers -> what had happened to each strictly before a moment.

One sort by (shopper, instant), then binary searches and differences of running sums: a row costs O(log events)
whatever the window. An event at the very instant asked about does not count, nor does any later one.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Timeline:
    """Events sorted by shopper and time.

    shoppers: the distinct ids; instants: int64 [u], distinct times in microseconds, ascending; keys: int64 [m],
    ascending, shopper code x (u + 1) + rank of the instant; order: int64 [m], the table's row behind each key.
    """

    shoppers: pd.Index
    instants: np.ndarray
    keys: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, shopper_id: pd.Series, moment: np.ndarray) -> "Timeline":
        """Ids [m] and times int64 [m] in microseconds -> timeline; ties keep the table's order."""
        codes, shoppers = pd.factorize(shopper_id)
        instants, ranks = np.unique(moment, return_inverse=True)
        # ranks, not microseconds: a million shoppers over a year of microseconds would overflow int64
        keys = codes.astype(np.int64) * (len(instants) + 1) + ranks
        order = np.argsort(keys, kind="stable")
        return cls(pd.Index(shoppers), instants, keys[order], order)

    def rows(self, shopper_id: pd.Series, until: np.ndarray, since: np.ndarray | None = None) -> "Rows":
        """For each of n questions, the shopper's events with since <= time < until (no `since`: from the beginning)."""
        codes = self.shoppers.get_indexer(pd.Index(shopper_id)).astype(np.int64)
        first = codes * (len(self.instants) + 1)
        low = first if since is None else first + np.searchsorted(self.instants, since, side="left")
        high = first + np.searchsorted(self.instants, until, side="left")
        known = codes >= 0
        start = np.where(known, np.searchsorted(self.keys, low, side="left"), 0)
        stop = np.where(known, np.searchsorted(self.keys, high, side="left"), 0)
        return Rows(start, np.maximum(start, stop))


@dataclass(frozen=True)
class Rows:
    """Half-open ranges into a timeline's order, one per question; start, stop: int64 [n]."""

    start: np.ndarray
    stop: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """int64 [n], events in each range."""
        return self.stop - self.start

    def sums(self, values: np.ndarray) -> np.ndarray:
        """values [m] or [m, k] in the timeline's order -> their sums over each range, float64 [n] or [n, k]."""
        running = np.zeros((len(values) + 1, *values.shape[1:]))
        np.cumsum(values, axis=0, dtype=np.float64, out=running[1:])
        return running[self.stop] - running[self.start]

    def last(self, values: np.ndarray, otherwise: float) -> np.ndarray:
        """values [m] in the timeline's order -> the last one of each range, `otherwise` where the range is empty."""
        if not len(values):
            return np.full(len(self.start), otherwise)
        return np.where(self.count > 0, values[np.maximum(self.stop - 1, 0)], otherwise)


def microseconds(timestamp: pd.Series) -> np.ndarray:
    """timestamp[us, UTC] [n] -> int64 [n], microseconds since 1970."""
    return timestamp.dt.as_unit("us").astype("int64").to_numpy()
