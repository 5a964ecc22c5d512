"""The shrinkage at which an estimator clips, shrinks or switches its weights, tuned on the log.

For each candidate the mean squared error is estimated as variance plus squared bias, and the smallest is chosen (Su et
al. 2020, section 5; Wang et al. 2017, section 3.3). The bias is the mean of (w - w_used) (r - q). Its estimate is
unbiased but has as much noise as shrinking saves, so, as in SLOPE (Su et al. 2020b), it counts only if chance does not
explain it. Otherwise noise would decide, and the log that most needs shrinkage would get the least.
"""

from dataclasses import replace

import numpy as np

from components.evaluation.estimators.estimators import ESTIMATORS, ModelUse, WeightedRows

SIGNIFICANT = 2.576  # standard errors; chance exceeds them once in a hundred, and five estimators are tested
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)  # of the weights: the candidates


def tune(name: str, rows: WeightedRows) -> float:
    """The shrinkage of estimator `name` with the least estimated mean squared error; infinity if it has none."""
    if ESTIMATORS[name].shrinkages is None:
        return float(np.inf)
    grid = candidates(name, rows.weight)
    return float(grid[int(np.argmin(mean_squared_errors(name, rows, grid)))])


def candidates(name: str, weight: np.ndarray) -> np.ndarray:
    """The shrinkages to try for estimator `name`, mildest last, from quantiles of the weights."""
    cuts = np.unique(np.quantile(weight, QUANTILES))
    return ESTIMATORS[name].shrinkages(cuts[cuts > 0] if (cuts > 0).any() else np.ones(1))


def mean_squared_errors(name: str, rows: WeightedRows, grid: np.ndarray) -> np.ndarray:
    """Estimated mean squared error of estimator `name` at every shrinkage of `grid`: float64 [c]."""
    estimator, plain = ESTIMATORS[name], replace(rows, model_error=None)
    by_shrinkage = [estimator(plain, shrinkage) for shrinkage in grid]
    terms = np.column_stack([contributions.direct + contributions.residual for contributions in by_shrinkage])  # [n, c]
    used = np.column_stack([contributions.used_weight for contributions in by_shrinkage])
    left_out = rows.weight[:, None] - used
    if estimator.model is ModelUse.NONE:  # clipping takes rewards >= 0 away, so all of it is bias
        bias = np.mean(rows.reward[:, None] * left_out, axis=0)
    else:
        terms = terms if rows.model_error is None else terms + rows.model_error.of_many(used)
        bias = beyond_chance(*_mean_and_error((rows.reward - rows.predicted)[:, None] * left_out))
    return terms.var(axis=0) / len(rows.reward) + bias**2


def beyond_chance(gap: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The bias shown by a distance from an unbiased estimate with that standard error; 0 if chance explains it."""
    significant = np.abs(gap) > SIGNIFICANT * error
    return np.where(significant, np.sqrt(np.maximum(gap**2 - error**2, 0.0)), 0.0)


def _mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each column of values [n, c], and the mean's standard error: float64 [c] each."""
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))
