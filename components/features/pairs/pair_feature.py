"""What a feature of a pair is: a history that is sorted once, and a look back from each pair's time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.features.pairs.pair_history import PairHistory, PairLog
from components.features.timeline import Timeline


@dataclass(frozen=True)
class PairFeature:
    """A feature of (shopper, creative) at a time, of what happened strictly before it.

    columns: names of what `compute` returns, `<name>` or `<name>:<which>`. by: PRODUCT or CATEGORY, what of the
    creative it is about. reads: `impressions` or `events`. chosen: that log [m] -> bool [m], the rows that count.
    compute: the timeline of those rows, the places of the pairs' (shopper, subject) in its `shoppers` (int64 [n], -1:
    nothing happened) and the pairs' times (int64 [n], microseconds) -> numbers of about unit size [n, columns].
    """

    name: str
    columns: tuple[str, ...]
    by: str
    reads: str
    chosen: Callable[[PairLog], np.ndarray]
    compute: Callable[[Timeline, np.ndarray, np.ndarray], np.ndarray]

    def timeline(self, history: PairHistory) -> Timeline:
        """The rows that count, sorted."""
        log: PairLog = getattr(history, self.reads)
        return log.timeline(self.by, self.width(history), self.chosen(log))

    def width(self, history: PairHistory) -> int:
        """How many subjects there are."""
        return max(len(getattr(history.subjects, self.by)), 1)
