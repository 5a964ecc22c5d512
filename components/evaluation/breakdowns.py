"""The lift by segment of shoppers, and the effect of each element of the creatives.

A segment's lift is the lift on its impressions. The effect of an element's level (one template, one headline, ...) is
the reward per impression where it is shown, minus that where other levels are shown. Both means are those of a policy
that chooses uniformly among the logged candidates, so the effect reflects neither the logging policy's preferences nor
the contexts in which it showed the level.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluation.intervals.resampling import Interval, Ratios, bootstrap, difference
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_counts, spread

MIN_EVENTS = 20  # rewarded impressions; a level with fewer is not shown


@dataclass(frozen=True)
class LevelEffect:
    """The effect of one segment or one level of an element, in reward per impression.

    kind: `segment`, or the element's name. effect: its interval holds for all levels of the kind together.
    """

    kind: str
    level: str
    impressions: int
    effect: Interval


def segment_lifts(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, replicates: int, seed: int
) -> tuple[LevelEffect, ...]:
    """Lift per segment by self-normalised IPS; intervals hold for all segments together (Bonferroni)."""
    if log.segment is None:
        return ()
    target_weight = log.weight(target)
    baseline_weight = np.ones(log.n) if baseline is None else log.weight(baseline)

    def lift(level) -> Ratios:
        inside = log.segment == level
        return difference(_mean(log.reward, target_weight * inside), _mean(log.reward, baseline_weight * inside))

    levels = np.unique(log.segment)
    return _level_effects("segment", log.segment, levels, lift, log=log, replicates=replicates, seed=seed)


def element_effects(
    log: LoggedDecisions, element: str, level: np.ndarray, replicates: int, seed: int
) -> tuple[LevelEffect, ...]:
    """Effect of every level of one element; `level` is str [m], of each action ("" if it has none)."""
    uniform = 1.0 / spread(row_counts(log.offsets), log.offsets)
    weight = log.weight(uniform)
    shown = level[log.action[log.logged]]

    def effect(name) -> Ratios:
        inside = shown == name
        return difference(_mean(log.reward, weight * inside), _mean(log.reward, weight * ~inside))

    levels = [name for name in sorted(set(level) - {""}) if not (shown == name).all()]
    return _level_effects(element, shown, levels, effect, log=log, replicates=replicates, seed=seed)


def _mean(reward: np.ndarray, weight: np.ndarray) -> Ratios:
    return Ratios(((1.0, weight * reward, weight),))


def _level_effects(
    kind: str,
    row_level: np.ndarray,
    levels: Sequence,
    effect: Callable[[Any], Ratios],
    *,
    log: LoggedDecisions,
    replicates: int,
    seed: int,
) -> tuple[LevelEffect, ...]:
    """The effects of those `levels` with enough rewarded rows; `row_level` [n] is each row's level.

    Effects are made one at a time, because there may be hundreds of levels.
    """
    rewarded = log.reward != 0
    frequent = [level for level in levels if (rewarded & (row_level == level)).sum() >= MIN_EVENTS]
    confidence = 1 - 0.05 / max(len(frequent), 1)
    effects = ((str(level), effect(level)) for level in frequent)
    intervals = bootstrap(effects, log.cluster, max(replicates, 40 * len(frequent)), seed, level=confidence)
    sizes = {str(level): int((row_level == level).sum()) for level in frequent}
    return tuple(LevelEffect(kind, name, sizes[name], interval) for name, interval in intervals.items())
