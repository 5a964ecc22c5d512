"""The record that defines a pair feature: a log that is sorted once, and values computed from it at pairs' times."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.features.pairs.pair_history import PairHistory, PairLog
from components.features.timeline import Timeline


@dataclass(frozen=True)
class PairFeature:
    """A feature of (shopper, creative) at a time, computed from rows of a log strictly before it.

    columns: names of what `compute` returns, `<name>` or `<name>:<variant>`. by: PRODUCT or CATEGORY, the attribute of
    the creative that rows are matched by. reads: `impressions` or `events`. chosen: that log [m] -> bool [m], the rows
    that count. compute: (timeline of those rows; positions int64 [n] of the pairs' (shopper, subject) in its
    `shoppers`, -1: no rows; times of the pairs int64 [n], microseconds) -> values of about unit size [n, columns].
    """

    name: str
    columns: tuple[str, ...]
    by: str
    reads: str
    chosen: Callable[[PairLog], np.ndarray]
    compute: Callable[[Timeline, np.ndarray, np.ndarray], np.ndarray]

    def timeline(self, history: PairHistory) -> Timeline:
        """The timeline of the rows of `history` that count."""
        log: PairLog = getattr(history, self.reads)
        return log.timeline(self.by, self.width(history), self.chosen(log))

    def width(self, history: PairHistory) -> int:
        """The number of subjects in `history`."""
        return max(len(getattr(history.subjects, self.by)), 1)
