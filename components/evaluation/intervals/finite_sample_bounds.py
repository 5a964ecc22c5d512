"""Intervals of a policy's value that hold at any sample size, with any reward model or embedding.

An estimator that clips, shrinks, switches or uses a model leaves a term out, of which the log has an unbiased estimate:

    value = E[q_pi + u (r - q)] + E[(w - u) (r - q)]          u: the used weight, at most w                        (1)

A bound on the second term plus the first bounds E[q_pi + w (r - q)]. So an estimator with a model has the interval of
`dr` with its q (RESIDUALS), and one without has that of `ips` (REWARDS). Only clipping has a better one
(CLIPPED_REWARDS), because the term that it leaves out is at least 0. These intervals are far wider than the bootstrap's
and hold without its approximation. An estimator's record names its interval.
"""

import numpy as np

from components.evaluation.estimators.estimators import ESTIMATORS, FiniteBound, WeightedRows
from components.evaluation.intervals.confidence_sequences import lower_sequence

ALPHA = 0.05


def finite_sample(
    name: str, rows: WeightedRows, clip: float, fold: np.ndarray, reward_range: tuple[float, float]
) -> tuple[float, float]:
    """The interval (low, high) of the policy's value for estimator `name` with the input `rows`.

    clip: the weight at which weights are clipped. fold: int64 [n], cross-fitting folds. Given the rows of the other
    folds the model is fixed and a fold's rows are independent of it, so each fold has a bound at its share of the error
    probability. The largest observed weight is taken as the largest possible one.
    """
    low, high = reward_range
    size, largest = high - low, (high - low) * float(rows.weight.max())
    kind = ESTIMATORS[name].bound
    if kind is FiniteBound.REWARDS:
        bounds = _bounds(rows.weight * (rows.reward - low), size, largest, ALPHA)
    elif kind is FiniteBound.CLIPPED_REWARDS:
        used = np.minimum(rows.weight, clip)
        gains = used * (rows.reward - low)
        lower = _bounds(gains, size, largest, ALPHA)[0]
        bounds = lower, _bounds(gains + (rows.weight - used) * size, size, largest, ALPHA)[1]
    else:
        values = rows.predicted_target + rows.weight * (rows.reward - rows.predicted) - low
        bounds = _by_fold(values, fold, size + largest)
    return float(np.clip(low + bounds[0], low, high)), float(np.clip(low + bounds[1], low, high))


def _by_fold(values: np.ndarray, fold: np.ndarray, largest: float) -> tuple[float, float]:
    codes = np.unique(fold)
    bounds = [_bounds(values[fold == code], largest, largest, ALPHA / len(codes)) for code in codes]
    share = np.array([(fold == code).mean() for code in codes])
    return float(share @ [low for low, _ in bounds]), float(share @ [high for _, high in bounds])


def _bounds(values: np.ndarray, below: float, above: float, alpha: float) -> tuple[float, float]:
    """Two-sided bounds on the mean of values within [-below, above], by `confidence_sequences.lower_sequence`."""
    last = np.array([len(values)])
    low = lower_sequence(values, below, alpha / 2, last)[0]
    return float(low), float(-lower_sequence(-values, above, alpha / 2, last)[0])
