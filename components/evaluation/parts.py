"""Where the lift comes from: per segment of shoppers, and per element of the creatives.

A segment's lift is the lift on its impressions. An element's (one template, one headline, ...) is what is earned more
per impression where it is shown than where the other levels are, both as a policy that chooses among the logged
candidates evenly would show them: so that neither the logging policy's preferences nor contexts are mistaken for merit.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.intervals import Interval, Ratios, bootstrap, difference
from components.evaluation.log import LoggedDecisions
from components.policy.ragged import row_counts, spread

FEWEST_EVENTS = 20  # rewarded impressions; below, a part is not shown


@dataclass(frozen=True)
class Part:
    """One segment or one level of an element: its effect in reward per impression, simultaneous over all parts."""

    kind: str  # `segment`, or the element's name
    level: str
    impressions: int
    effect: Interval


def segment_lifts(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, replicates: int, seed: int
) -> tuple[Part, ...]:
    """Lift per segment by self-normalised IPS; intervals hold for all segments together (Bonferroni)."""
    if log.segment is None:
        return ()
    ahead, behind = log.weight(target), np.ones(log.n) if baseline is None else log.weight(baseline)
    quantities, sizes = {}, {}
    for level in np.unique(log.segment):
        inside = log.segment == level
        sizes[str(level)] = int(inside.sum())
        if (inside & (log.reward != 0)).sum() >= FEWEST_EVENTS:
            quantities[str(level)] = difference(_mean(log.reward, ahead * inside), _mean(log.reward, behind * inside))
    return _parts("segment", quantities, sizes, log, replicates, seed)


def element_effects(
    log: LoggedDecisions, element: str, level: np.ndarray, replicates: int, seed: int
) -> tuple[Part, ...]:
    """Effect of every level of one element; `level` is str [m], of each action ("" where it has none)."""
    even = 1.0 / spread(row_counts(log.offsets), log.offsets)
    weight = log.weight(even)
    shown = level[log.action[log.logged]]
    quantities, sizes = {}, {}
    for name in sorted(set(level) - {""}):
        inside = shown == name
        sizes[name] = int(inside.sum())
        if (inside & (log.reward != 0)).sum() >= FEWEST_EVENTS and not inside.all():
            quantities[name] = difference(_mean(log.reward, weight * inside), _mean(log.reward, weight * ~inside))
    return _parts(element, quantities, sizes, log, replicates, seed)


def _mean(reward: np.ndarray, weight: np.ndarray) -> Ratios:
    return Ratios(((1.0, weight * reward, weight),))


def _parts(
    kind: str, quantities: dict[str, Ratios], sizes: dict[str, int], log: LoggedDecisions, replicates: int, seed: int
) -> tuple[Part, ...]:
    level = 1 - 0.05 / max(len(quantities), 1)
    intervals = bootstrap(quantities, log.cluster, max(replicates, 40 * len(quantities)), seed, level)
    return tuple(Part(kind, name, sizes[name], interval) for name, interval in intervals.items())
