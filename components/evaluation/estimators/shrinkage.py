"""How hard to clip, shrink or switch, from the log alone.

For each candidate the mean squared error is estimated as variance plus squared bias, and the smallest wins (Su et al.
2020, section 5; Wang et al. 2017, section 3.3). What a candidate leaves out, (w - w_used) (r - q), the log estimates
without bias but with as much noise as shrinking saves. So, as in SLOPE (Su et al. 2020b), it counts as bias only where
luck does not explain it: counted always, noise would drive the choice, and the log that most needs shrinking would
shrink least. The truth is never consulted.
"""

from dataclasses import replace

import numpy as np

from components.evaluation.estimators.estimators import ESTIMATORS, ModelUse, WeightedRows

SURPRISING = 2.576  # standard errors: luck goes further once in a hundred, and five estimators may be biased
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)  # of the weights: where to cut


def tune(name: str, rows: WeightedRows) -> float:
    """The shrinkage of estimator `name` with the least estimated mean squared error; infinity where it has none."""
    if ESTIMATORS[name].shrinkages is None:
        return float(np.inf)
    grid = candidates(name, rows.weight)
    return float(grid[int(np.argmin(mean_squared_errors(name, rows, grid)))])


def candidates(name: str, weight: np.ndarray) -> np.ndarray:
    """Shrinkages of estimator `name` to try, mildest last, from quantiles of the weights."""
    cuts = np.unique(np.quantile(weight, QUANTILES))
    return ESTIMATORS[name].shrinkages(cuts[cuts > 0] if (cuts > 0).any() else np.ones(1))


def mean_squared_errors(name: str, rows: WeightedRows, grid: np.ndarray) -> np.ndarray:
    """Estimated mean squared error of estimator `name` at every shrinkage of `grid`: float64 [c]."""
    estimator, plain = ESTIMATORS[name], replace(rows, model_error=None)
    tried = [estimator(plain, shrinkage) for shrinkage in grid]
    terms = np.column_stack([one.direct + one.residual for one in tried])  # [n, c]
    used = np.column_stack([one.used_weight for one in tried])
    left_out = rows.weight[:, None] - used
    if estimator.model is ModelUse.NONE:  # what it clips away is never negative, so all of it is bias
        bias = np.mean(rows.reward[:, None] * left_out, axis=0)
    else:
        terms = terms if rows.model_error is None else terms + rows.model_error.of_many(used)
        bias = beyond_chance(*_mean_and_error((rows.reward - rows.predicted)[:, None] * left_out))
    return terms.var(axis=0) / len(rows.reward) + bias**2


def beyond_chance(gap: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The bias that a distance from an unbiased estimate proves, given the distance's standard error; 0 where none."""
    proven = np.abs(gap) > SURPRISING * error
    return np.where(proven, np.sqrt(np.maximum(gap**2 - error**2, 0.0)), 0.0)


def _mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column of values [n, c]: its mean and the mean's standard error."""
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))
