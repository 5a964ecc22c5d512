"""Where the lift comes from: per segment of shoppers, and per element of the creatives.

A segment's lift is the lift on its impressions. An element's (one template, one headline, ...) is what is earned more
per impression where it is shown than where the other levels are, both as a policy that chooses among the logged
candidates evenly would show them: so that neither the logging policy's preferences nor contexts are mistaken for merit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluation.intervals.resampling import Interval, Ratios, bootstrap, difference
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_counts, spread

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

    def lift(level) -> Ratios:
        inside = log.segment == level
        return difference(_mean(log.reward, ahead * inside), _mean(log.reward, behind * inside))

    return _parts("segment", log.segment, np.unique(log.segment), lift, log, replicates=replicates, seed=seed)


def element_effects(
    log: LoggedDecisions, element: str, level: np.ndarray, replicates: int, seed: int
) -> tuple[Part, ...]:
    """Effect of every level of one element; `level` is str [m], of each action ("" where it has none)."""
    even = 1.0 / spread(row_counts(log.offsets), log.offsets)
    weight = log.weight(even)
    shown = level[log.action[log.logged]]

    def effect(name) -> Ratios:
        inside = shown == name
        return difference(_mean(log.reward, weight * inside), _mean(log.reward, weight * ~inside))

    levels = [name for name in sorted(set(level) - {""}) if not (shown == name).all()]
    return _parts(element, shown, levels, effect, log, replicates=replicates, seed=seed)


def _mean(reward: np.ndarray, weight: np.ndarray) -> Ratios:
    return Ratios(((1.0, weight * reward, weight),))


def _parts(
    kind: str,
    part: np.ndarray,
    levels: Sequence,
    effect: Callable[[Any], Ratios],
    log: LoggedDecisions,
    *,
    replicates: int,
    seed: int,
) -> tuple[Part, ...]:
    """Those of `levels` of which enough was rewarded; `part` [n] is each row's level.

    One effect at a time is in memory, for there may be hundreds of levels.
    """
    rewarded = log.reward != 0
    shown = [level for level in levels if (rewarded & (part == level)).sum() >= FEWEST_EVENTS]
    confidence = 1 - 0.05 / max(len(shown), 1)
    effects = ((str(level), effect(level)) for level in shown)
    intervals = bootstrap(effects, log.cluster, max(replicates, 40 * len(shown)), seed, confidence)
    sizes = {str(level): int((part == level).sum()) for level in shown}
    return tuple(Part(kind, name, sizes[name], interval) for name, interval in intervals.items())
