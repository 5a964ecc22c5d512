"""Intervals of a policy's value that hold at any sample size, whatever the reward model or the embedding is worth.

An estimator that clips, shrinks, switches or leans on a model leaves something out; the log tells what, without bias:

    value = E[q_pi + u (r - q)] + E[(w - u) (r - q)]          u: the used weight, at most w                        (1)

Bounding the second term by the log and adding it to the first bounds E[q_pi + w (r - q)]. So an estimator that reads a
model has the interval of `dr` with its own q (RESIDUALS), and one that reads none has that of `ips` (REWARDS). Only
clipping has a better one (CLIPPED_REWARDS), for what it leaves out is at least 0. They are far wider than the
bootstrap's and need no faith in it. Which one goes with an estimator is a field of its record.
"""

import numpy as np

from components.evaluation.estimators.estimators import ESTIMATORS, FiniteBound, WeightedRows
from components.evaluation.intervals.confidence_sequences import lower_sequence

ALPHA = 0.05


def finite_sample(
    name: str, rows: WeightedRows, clip: float, fold: np.ndarray, reward_range: tuple[float, float]
) -> tuple[float, float]:
    """The interval of the policy's value that goes with estimator `name`, which read `rows`.

    clip: the shrinkage where weights are clipped. fold: int64 [n], cross-fitting folds: given the others' rows, the
    model is fixed and a fold's rows are fair, so each fold is bounded apart at its share of the error. The largest
    observed weight stands for the largest possible one. Rewards are taken as gains over the least possible.
    """
    low, high = reward_range
    size, most = high - low, (high - low) * float(rows.weight.max())
    kind = ESTIMATORS[name].bound
    if kind is FiniteBound.REWARDS:
        bounds = _bounds(rows.weight * (rows.reward - low), size, most, ALPHA)
    elif kind is FiniteBound.CLIPPED_REWARDS:
        used = np.minimum(rows.weight, clip)
        gains = used * (rows.reward - low)
        at_least = _bounds(gains, size, most, ALPHA)[0]
        bounds = at_least, _bounds(gains + (rows.weight - used) * size, size, most, ALPHA)[1]
    else:
        values = rows.predicted_target + rows.weight * (rows.reward - rows.predicted) - low
        bounds = _by_fold(values, fold, size + most)
    return float(np.clip(low + bounds[0], low, high)), float(np.clip(low + bounds[1], low, high))


def _by_fold(values: np.ndarray, fold: np.ndarray, most: float) -> tuple[float, float]:
    folds = np.unique(fold)
    parts = [_bounds(values[fold == it], most, most, ALPHA / len(folds)) for it in folds]
    share = np.array([(fold == it).mean() for it in folds])
    return float(share @ [low for low, _ in parts]), float(share @ [high for _, high in parts])


def _bounds(values: np.ndarray, below: float, above: float, alpha: float) -> tuple[float, float]:
    """Two-sided bounds on the mean of values within [-below, above] (the sides of `sequences.lower_sequence`)."""
    last = np.array([len(values)])
    low = lower_sequence(values, below, alpha / 2, last)[0]
    return float(low), float(-lower_sequence(-values, above, alpha / 2, last)[0])
