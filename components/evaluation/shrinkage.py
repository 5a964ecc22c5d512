"""How hard to clip, shrink or switch, from the log alone.

For each candidate the mean squared error is estimated as variance plus squared bias, and the smallest wins (Su et al.
2020, section 5; Wang et al. 2017, section 3.3). The bias of a candidate is the mean of what it leaves out,
(w - w_used) (r - q), which the log estimates without bias. The truth is never consulted.
"""

import numpy as np

from components.evaluation.estimators import ESTIMATORS, WeightedRows

TUNED = ("clipped_ips", "switch_dr", "dros")
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)  # of the weights: where to cut


def tune(name: str, rows: WeightedRows) -> float:
    """The shrinkage of estimator `name` with the least estimated mean squared error; inf where it has none."""
    if name not in TUNED:
        return float("inf")
    grid = candidates(name, rows.weight)
    errors = [mean_squared_error(name, rows, shrinkage) for shrinkage in grid]
    return float(grid[int(np.argmin(errors))])


def candidates(name: str, weight: np.ndarray) -> np.ndarray:
    """Shrinkages to try, mildest last: quantiles of the weights; for `dros` their squares, the scale of its lambda."""
    cuts = np.unique(np.quantile(weight, QUANTILES))
    cuts = cuts[cuts > 0] if (cuts > 0).any() else np.ones(1)
    return np.append(10.0 * cuts**2, np.inf) if name == "dros" else cuts


def mean_squared_error(name: str, rows: WeightedRows, shrinkage: float) -> float:
    """Estimated mean squared error of estimator `name` at `shrinkage`."""
    used = ESTIMATORS[name](rows, shrinkage)
    model = 0.0 if name == "clipped_ips" else rows.predicted
    bias = float(np.mean((rows.weight - used.used_weight) * (rows.reward - model)))
    return float(np.var(used.direct + used.residual)) / len(rows.reward) + bias**2
