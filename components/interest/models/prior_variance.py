"""Prior variances of groups of logistic-regression coefficients, by maximum evidence.

The model is logistic regression with w_j ~ N(0, t_g) for j in group g. The t_g maximise the probability of the clicks
with w integrated out (MacKay 1992, "The evidence framework applied to classification networks"), on the Laplace
approximation:

    A = H + diag(1 / t),  w = A^-1 b,      H = sum p (1 - p) x x',  b = H w + sum (y - p) x                       (1)
    gamma_g = n_g - trace_g(A^-1) / t_g,   t_g = |w_g|^2 / (gamma_g + 2 a),   a = min(1, SPARSE_CLICKS / clicks)  (2)

a stands for a prior p(t) ~ t^-a. With a = 1, the scale-free prior (Tipping 2001), groups with little evidence go to
zero; with a = 0, a third of the groups without any effect get some variance by chance. The harm of such a group falls
with the number of clicks. The loss from a small true effect that is left out does not, so large logs have a near 0.

This is hierarchical shrinkage without a grid search: groups that the clicks do not support go to zero, and without any
signal the model predicts the base rate.
"""

from dataclasses import dataclass

import numpy as np

# updates of t by (2) in each round, after the round's quadratic approximation (1) around the current w; the first round
# has none, because the approximation at w = 0 is too rough to judge a variance
UPDATES = (0, 3, 3, 3, 3, 3)
START_VARIANCE = 0.01  # a standard deviation of 0.1 in log-odds per coefficient
SPARSE_CLICKS = 100
MIN_VARIANCE, MAX_VARIANCE = (
    1e-5,
    1.0,
)  # below MIN_VARIANCE (0.3 % of the odds) a group is off; MAX_VARIANCE bounds a separable group
MAX_ROWS, CONTROLS = 50_000, 8  # all rows up to MAX_ROWS; beyond it at least CONTROLS non-clicks per click
CHUNK = 8192


@dataclass(frozen=True)
class FittedPriors:
    """intercept; weights: float64 [d]; variances: float64 [d], the prior variance t_g of each column."""

    intercept: float
    weights: np.ndarray
    variances: np.ndarray


def informative_rows(click: np.ndarray, seed: int) -> np.ndarray:
    """Rows to fit the variances on, int64 [m] ascending, for clicks 0/1 [n]: all rows of a small log, else a sample.

    Clicks are rare and hold nearly all information: with 8 non-clicks per click the standard errors are 6 % wider than
    with all of them (Breslow & Day 1980). Only the intercept needs a correction (`maximise_evidence`).
    """
    clicks, non_clicks = np.flatnonzero(click > 0), np.flatnonzero(click == 0)
    sample_size = max(MAX_ROWS - len(clicks), CONTROLS * len(clicks))
    if len(non_clicks) > sample_size:
        non_clicks = np.random.default_rng(seed).choice(non_clicks, sample_size, replace=False)
    return np.sort(np.concatenate([clicks, non_clicks]))


def maximise_evidence(rows: np.ndarray, click: np.ndarray, groups: tuple[str, ...], base_rate: float) -> FittedPriors:
    """The priors of rows float32 [m, d], clicks 0/1 [m] and each column's group; the intercept fits `base_rate`.

    A case-control sample shifts the intercept alone: by the logarithm of the sample's odds over the whole log's odds
    (Prentice & Pyke 1979).
    """
    names, member = np.unique(np.array(groups, dtype=str), return_inverse=True)
    sizes = np.bincount(member, minlength=len(names)).astype(np.float64)
    variances = np.full(len(names), START_VARIANCE)
    power = min(1.0, SPARSE_CLICKS / float(click.sum()))
    weights = np.zeros(len(groups) + 1)  # the intercept comes first and has a flat prior
    weights[0] = _log_odds(float(click.mean()))
    for updates in UPDATES:
        # a group that is off stays off, which shrinks the matrices after the first rounds
        active = np.flatnonzero(variances[member] > MIN_VARIANCE)
        active_weights = np.concatenate([[0], active + 1])
        curvature, gradient = _curvature_and_gradient(rows[:, active], click, weights[active_weights])
        target = curvature @ weights[active_weights] + gradient
        mean, covariance_diagonal = _posterior(curvature, target, variances[member[active]])
        for _ in range(updates):
            variances = _updated_variances(
                mean[1:], covariance_diagonal[1:], variances, member[active], sizes, power=power
            )
            mean, covariance_diagonal = _posterior(curvature, target, variances[member[active]])
        weights = np.zeros(len(groups) + 1)
        weights[active_weights] = mean
    shift = _log_odds(base_rate) - _log_odds(float(click.mean()))
    return FittedPriors(float(weights[0]) + shift, weights[1:], variances[member])


def _log_odds(share: float) -> float:
    return float(np.log(share / (1.0 - share)))


def _curvature_and_gradient(rows: np.ndarray, click: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H [d + 1, d + 1] and the gradient [d + 1] of the log-likelihood at `weights`."""
    width = len(weights)
    curvature, gradient = np.zeros((width, width)), np.zeros(width)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        probability = 1.0 / (1.0 + np.exp(-(weights[0] + chunk @ weights[1:].astype(np.float32))))
        deviation = np.sqrt(probability * (1.0 - probability)).astype(np.float32)
        scaled = np.concatenate([deviation[:, None], chunk * deviation[:, None]], axis=1)
        curvature += scaled.T @ scaled
        residual = click[start : start + CHUNK] - probability
        gradient[0] += residual.sum()
        gradient[1:] += residual.astype(np.float32) @ chunk
    return curvature, gradient


def _posterior(curvature: np.ndarray, target: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of (1) and the diagonal of A^-1, float64 [d + 1] each; 0 for the columns of groups that are off."""
    from scipy.linalg.blas import dsymv
    from scipy.linalg.lapack import dpotrf, dpotri

    active = np.flatnonzero(np.concatenate([[True], variances > MIN_VARIANCE]))
    precision = curvature[np.ix_(active, active)]
    precision[np.arange(1, len(active)), np.arange(1, len(active))] += 1.0 / variances[active[1:] - 1]
    factor, _ = dpotrf(precision, lower=1)
    lower, _ = dpotri(factor, lower=1)  # the inverse from the factor costs a third of solving for the identity
    mean, covariance_diagonal = np.zeros(len(target)), np.zeros(len(target))
    mean[active], covariance_diagonal[active] = dsymv(1.0, lower, target[active], lower=1), np.diag(lower)
    return mean, covariance_diagonal


def _updated_variances(
    weights: np.ndarray,
    covariance_diagonal: np.ndarray,
    variances: np.ndarray,
    member: np.ndarray,
    sizes: np.ndarray,
    *,
    power: float,
) -> np.ndarray:
    """The variances after one update by (2) with a = power, float64 [groups]; a group that is off stays off."""
    groups = len(sizes)
    squares = np.bincount(member, weights**2, groups)
    active = variances > MIN_VARIANCE
    divisor = np.where(active, variances, 1.0)
    determined = np.clip(sizes - np.bincount(member, covariance_diagonal, groups) / divisor, 1e-6, sizes)
    return np.where(active, np.clip(squares / (determined + 2 * power), 0.0, MAX_VARIANCE), 0.0)
