"""Happenings of many shoppers -> what had happened to each strictly before a moment.

One sort by (shopper, instant), then binary searches and differences of running sums: a row costs O(log events)
whatever the window. An event at the very instant asked about does not count, nor does any later one. Ranges within some
of the events (of one kind, of one trait) follow from those within all by a running count, without another sort.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400_000_000  # microseconds


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
    def of(cls, shopper_id: pd.Series, moment: np.ndarray) -> "Timeline":
        """Ids [m] and times int64 [m] in microseconds -> timeline; ties keep the table's order."""
        codes, shoppers = pd.factorize(shopper_id)
        instants, ranks = _ranked(moment)
        # ranks, not microseconds: a million shoppers over a year of microseconds would overflow int64
        keys = codes.astype(np.int64) * (len(instants) + 1) + ranks
        if (ranks[1:] >= ranks[:-1]).all() and (codes >= 0).all():
            # a table in order of time needs to be grouped by shopper only; few shoppers fit in 16 bits, and sort fast
            order = np.argsort(codes.astype(np.min_scalar_type(max(len(shoppers), 1))), kind="stable")
        else:
            order = np.argsort(keys, kind="stable")
        return cls(pd.Index(shoppers), instants, keys[order], order, codes[order].astype(np.int32), moment[order])

    def rows(self, shopper_id: pd.Series, until: np.ndarray, since: np.ndarray | None = None) -> "Rows":
        """For each of n questions, the shopper's events with since <= time < until (no `since`: from the beginning)."""
        return self.rows_of(places(shopper_id, self.shoppers), until, since)

    def rows_of(self, shopper: np.ndarray, until: np.ndarray, since: np.ndarray | None = None) -> "Rows":
        """As `rows`, for shoppers given by their positions in `shoppers`: int64 [n], -1 for a stranger."""
        first = shopper * (len(self.instants) + 1)
        low = first if since is None else first + np.searchsorted(self.instants, since, side="left")
        high = first + np.searchsorted(self.instants, until, side="left")
        known = shopper >= 0
        start = np.where(known, _first_at_least(self.keys, low), 0)
        stop = np.where(known, _first_at_least(self.keys, high), 0)
        return Rows(start, np.maximum(start, stop))


@dataclass(frozen=True)
class Rows:
    """Half-open ranges into a timeline's order, one per question; start, stop: integers [n]."""

    start: np.ndarray
    stop: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """Integers [n], events in each range."""
        return self.stop - self.start

    def among(self, chosen: np.ndarray) -> "Rows":
        """The same ranges within the events that are `chosen`, bool [m] in the timeline's order."""
        running = np.zeros(len(chosen) + 1, dtype=np.int32 if len(chosen) < 2**31 else np.int64)
        np.cumsum(chosen, out=running[1:])
        return Rows(running[self.start], running[self.stop])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """values [m] or [m, k] in the timeline's order -> their sums over each range, float64 [n] or [n, k]."""
        running = np.zeros((len(values) + 1, *values.shape[1:]))
        np.cumsum(values, axis=0, dtype=np.float64, out=running[1:])
        return running[self.stop] - running[self.start]

    def sums_of(self, table: np.ndarray, row: np.ndarray) -> np.ndarray:
        """`sums(table[row])` for table float64 [r, k] and row [m], one column in memory at a time: float64 [n, k]."""
        found = np.empty((len(self.start), table.shape[1]))
        running, values = np.zeros(len(row) + 1), np.empty(len(row))
        for column in range(table.shape[1]):
            np.take(np.ascontiguousarray(table[:, column]), row, out=values, mode="clip")
            np.cumsum(values, out=running[1:])
            found[:, column] = running[self.stop] - running[self.start]
        return found

    def last(self, values: np.ndarray, otherwise: float) -> np.ndarray:
        """values [m] in the timeline's order -> the last one of each range, `otherwise` where the range is empty."""
        if not len(values):
            return np.full(len(self.start), otherwise)
        return np.where(self.count > 0, values[np.maximum(self.stop - 1, 0)], otherwise)


def places(values: pd.Series, keys: pd.Index) -> np.ndarray:
    """int64 [n]: where in `keys`, which are distinct, each of `values` stands; -1 where it does not, or is null."""
    if not isinstance(values.dtype, pd.StringDtype):
        return keys.get_indexer(pd.Index(values)).astype(np.int64)
    # Arrow hashes millions of strings in a second; a pandas index makes an object of each first.
    wanted, known = pa.array(values, pa.large_string()), pa.array(keys, pa.large_string())
    found = pc.index_in(wanted, value_set=known, skip_nulls=True)
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def microseconds(timestamp: pd.Series) -> np.ndarray:
    """timestamp[us, UTC] [n] -> int64 [n], microseconds since 1970."""
    return timestamp.dt.as_unit("us").astype("int64").to_numpy()


def _first_at_least(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """searchsorted(keys, wanted) -> int64 [n]; neighbours asked for one after the other are near in memory."""
    order = np.argsort(wanted)
    found = np.empty(len(wanted), dtype=np.int64)
    found[order] = np.searchsorted(keys, wanted[order], side="left")
    return found


def _ranked(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times int64 [m] -> the distinct ones, ascending, and the rank of each among them; no sort where none is due."""
    step = np.diff(moment)
    if (step < 0).any():
        return np.unique(moment, return_inverse=True)
    fresh = np.concatenate([np.ones(min(len(moment), 1), dtype=bool), step > 0])
    return moment[fresh], np.cumsum(fresh) - 1
