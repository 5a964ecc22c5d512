"""Look up each shopper's events strictly before a time, and their counts and sums over windows.

Events are sorted once by (shopper, instant); queries are binary searches and differences of running sums, so a query
costs O(log events) for any window. An event at the queried instant does not count. Ranges within a subset of the events
(of one kind or attribute) follow from the ranges within all events by a running count, without another sort.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400_000_000  # microseconds
_ONE = pd.Index([0])  # the shoppers of a timeline of one


@dataclass(frozen=True)
class Timeline:
    """Events sorted by shopper and time.

    shoppers: the distinct ids; instants: int64 [u], distinct times in microseconds, ascending; keys: int64 [m],
    ascending, shopper code x (u + 1) + rank of the instant; order: int64 [m], the table's row behind each key; shopper
    (position in `shoppers`) and moment (microseconds): integers [m], in the order of the keys.
    """

    shoppers: pd.Index
    instants: np.ndarray
    keys: np.ndarray
    order: np.ndarray
    shopper: np.ndarray
    moment: np.ndarray

    @classmethod
    def of(cls, shopper_id: pd.Series | np.ndarray, moment: np.ndarray) -> "Timeline":
        """The timeline of events with ids [m] and times int64 [m], microseconds; ties keep the table's order."""
        codes, shoppers = pd.factorize(shopper_id)
        if isinstance(shoppers, pd.CategoricalIndex):
            shoppers = shoppers.astype(shoppers.categories.dtype)
        instants, ranks = _ranked(moment)
        # ranks, since a million shoppers times a year of microseconds would overflow int64
        keys = codes.astype(np.int64) * (len(instants) + 1) + ranks
        if (ranks[1:] >= ranks[:-1]).all() and (codes >= 0).all():
            # a table in order of time only has to be grouped by shopper; codes of 16 bits are sorted faster
            order = np.argsort(codes.astype(np.min_scalar_type(max(len(shoppers), 1))), kind="stable")
        else:
            order = np.argsort(keys, kind="stable")
        return cls(pd.Index(shoppers), instants, keys[order], order, codes[order].astype(np.int32), moment[order])

    @classmethod
    def of_one(cls, moment: np.ndarray) -> "Timeline":
        """The timeline of one shopper, at position 0, whose events have ascending times int64 [m], microseconds."""
        instants, ranks = _ranked(moment)
        zeros, order = np.zeros(len(moment), dtype=np.int32), np.arange(len(moment))
        return cls(_ONE, instants, ranks, order, zeros, moment)

    def rows(self, shopper_id: pd.Series, until: np.ndarray, since: np.ndarray | None = None) -> "Rows":
        """For each of n queries, the shopper's events with since <= time < until; None: from the begin."""
        return self.rows_of(positions(shopper_id, self.shoppers), until, since)

    def rows_of(self, shopper: np.ndarray, until: np.ndarray, since: np.ndarray | None = None) -> "Rows":
        """As `rows`, for shoppers given by their positions in `shoppers`, int64 [n]; -1: unknown, no events."""
        first = shopper * (len(self.instants) + 1)
        low = first if since is None else first + np.searchsorted(self.instants, since, side="left")
        high = first + np.searchsorted(self.instants, until, side="left")
        known = shopper >= 0
        start = np.where(known, _first_at_least(self.keys, low), 0)
        stop = np.where(known, _first_at_least(self.keys, high), 0)
        return Rows(start, np.maximum(start, stop))


@dataclass(frozen=True)
class Rows:
    """Half-open ranges in a timeline's order, one per query; start, stop: integers [n]."""

    start: np.ndarray
    stop: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """Integers [n], the number of events in each range."""
        return self.stop - self.start

    def within(self, chosen: np.ndarray) -> "Rows":
        """The same ranges in the sequence of the `chosen` events, bool [m] in the timeline's order."""
        if len(self.start) == 1:  # of one request: a third of the time
            start, stop = self.start[0], self.stop[0]
            before = np.count_nonzero(chosen[:start])
            return Rows(np.array([before]), np.array([before + np.count_nonzero(chosen[start:stop])]))
        running = np.zeros(len(chosen) + 1, dtype=np.int32 if len(chosen) < 2**31 else np.int64)
        np.cumsum(chosen, out=running[1:])
        return Rows(running[self.start], running[self.stop])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """float64 [n] or [n, k], sums over each range of values [m] or [m, k] in the timeline's order."""
        running = np.zeros((len(values) + 1, *values.shape[1:]))
        np.cumsum(values, axis=0, dtype=np.float64, out=running[1:])
        return running[self.stop] - running[self.start]

    def sums_of(self, table: np.ndarray, row: np.ndarray) -> np.ndarray:
        """float64 [n, k], `sums(table[row])` for table float64 [r, k] and row [m], with one column in memory."""
        if len(self.start) == 1:
            return table[row[self.start[0] : self.stop[0]]].sum(axis=0)[None, :]
        sums = np.empty((len(self.start), table.shape[1]))
        running, values = np.zeros(len(row) + 1), np.empty(len(row))
        for column in range(table.shape[1]):
            np.take(np.ascontiguousarray(table[:, column]), row, out=values, mode="clip")
            np.cumsum(values, out=running[1:])
            sums[:, column] = running[self.stop] - running[self.start]
        return sums

    def last(self, values: np.ndarray, otherwise: float) -> np.ndarray:
        """The last of values [m], in the timeline's order, in each range; `otherwise` for an empty range."""
        if not len(values):
            return np.full(len(self.start), otherwise)
        return np.where(self.count > 0, values[np.maximum(self.stop - 1, 0)], otherwise)


def positions(values: pd.Series, keys: pd.Index) -> np.ndarray:
    """int64 [n]: the position of each of `values` in the distinct `keys`; -1 for null or an unknown value."""
    if not isinstance(values.dtype, pd.StringDtype):
        return keys.get_indexer(pd.Index(values)).astype(np.int64)
    # Arrow hashes millions of strings in a second; a pandas index makes an object of each first.
    texts, known = pa.array(values, pa.large_string()), pa.array(keys, pa.large_string())
    position = pc.index_in(texts, value_set=known, skip_nulls=True)
    return pc.fill_null(position, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def microseconds(timestamp: pd.Series) -> np.ndarray:
    """int64 [n], microseconds since 1970 of timestamp[us, UTC] [n]."""
    return timestamp.dt.as_unit("us").astype("int64").to_numpy()


def _first_at_least(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64 [n], searchsorted(keys, wanted), computed in the order of `wanted`, which is faster for large `keys`."""
    if len(wanted) == 1:
        return np.searchsorted(keys, wanted, side="left")
    order = np.argsort(wanted)
    place = np.empty(len(wanted), dtype=np.int64)
    place[order] = np.searchsorted(keys, wanted[order], side="left")
    return place


def _ranked(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct times of int64 [m], ascending, and each time's rank among them; no sort if they are sorted."""
    step = np.diff(moment)
    if (step < 0).any():
        return np.unique(moment, return_inverse=True)
    is_new = np.concatenate([np.ones(min(len(moment), 1), dtype=bool), step > 0])
    return moment[is_new], np.cumsum(is_new) - 1
