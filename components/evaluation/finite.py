"""Intervals of a policy's value that hold at any sample size, for the estimators that allow one.

They are far wider than the bootstrap's and need no faith in it. An estimator that leans on a model or an embedding has
none: nothing in the log bounds how wrong those are.
"""

import numpy as np

from components.evaluation.estimators import Contributions
from components.evaluation.intervals import Interval
from components.evaluation.sequences import lower_sequence

ALPHA = 0.05


def finite_sample(
    name: str, rows: Contributions, fold: np.ndarray, weight: np.ndarray, reward_range: tuple[float, float]
) -> Interval | None:
    """The interval of estimator `name` with contributions `rows`; None where it has none.

    fold: int64 [n], cross-fitting folds: given the others' rows, the model is fixed and a fold's rows are fair, so each
    fold is bounded apart at its share of the error. weight: float64 [n], unclipped, whose largest observed value
    stands for the largest possible. Rewards are taken as gains over the least possible.
    """
    low, high = reward_range
    largest = float(weight.max())
    if name in ("ips", "snips"):
        gains = (rows.residual if name == "ips" else rows.used_weight * _reward(rows)) - low * rows.used_weight
        bounds = _bounds(gains, high - low, (high - low) * largest, ALPHA)
    elif name == "clipped_ips":
        gains = rows.residual - low * rows.used_weight
        lost = np.maximum(weight - rows.used_weight, 0.0) * (high - low)
        most = (high - low) * largest
        at_least = _bounds(gains, high - low, most, ALPHA)[0]
        bounds = at_least, _bounds(gains + lost, high - low, most, ALPHA)[1]
    elif name in ("dr", "sndr"):
        values = rows.direct + rows.residual - low
        bounds = _by_fold(values, fold, (high - low) * (1 + largest))
    else:
        return None
    return Interval(
        rows.value(), float(np.clip(low + bounds[0], low, high)), float(np.clip(low + bounds[1], low, high))
    )


def _reward(rows: Contributions) -> np.ndarray:
    return np.divide(rows.residual, rows.mass, out=np.zeros_like(rows.residual), where=rows.mass > 0)


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
