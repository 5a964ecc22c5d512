"""Rows, clicks and groups of coefficients -> a prior variance for each group, by maximum evidence.

Logistic regression with w_j ~ N(0, t_g) for j in group g. The t_g that make the clicks most probable after integrating
w out (MacKay 1992, "The evidence framework applied to classification networks") are found on the Laplace approximation:

    A = H + diag(1 / t),  w = A^-1 b,      H = sum p (1 - p) x x',  b = H w + sum (y - p) x                       (1)
    gamma_g = n_g - trace_g(A^-1) / t_g,   t_g = |w_g|^2 / gamma_g                                                (2)

This is hierarchical shrinkage without a grid: what the clicks do not support goes to zero group by group, and with no
signal at all the model is its base rate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

ROUNDS = 4  # of (1): a quadratic fit to the likelihood around the current w
UPDATES = 12  # of (2) per round: cheap, the rows are not touched
START = 0.01  # a standard deviation of 0.1 in log-odds per coefficient
LEAST, MOST = 1e-9, 4.0  # below LEAST a group is off; MOST keeps a separable group finite

Chunks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Evidence:
    """intercept; weights: float64 [d]; variances: float64 [d], each column's prior variance t_g."""

    intercept: float
    weights: np.ndarray
    variances: np.ndarray


def maximise_evidence(chunks: Chunks, groups: tuple[str, ...], base_rate: float) -> Evidence:
    """chunks() yields (x float32 [n, d], click [n]) over all rows; groups: each column's -> Evidence."""
    names, member = np.unique(np.array(groups, dtype=str), return_inverse=True)
    sizes = np.bincount(member, minlength=len(names)).astype(np.float64)
    variances = np.full(len(names), START)
    weights = np.zeros(len(groups) + 1)  # the intercept first, under a flat prior
    weights[0] = np.log(base_rate / (1.0 - base_rate))
    for _ in range(ROUNDS):
        curvature, slope = _expand(chunks, weights)
        target = curvature @ weights + slope
        for _ in range(UPDATES):
            weights, spread = _posterior(curvature, target, variances[member])
            variances = _update(weights[1:], spread[1:], variances, member, sizes)
        weights, _ = _posterior(curvature, target, variances[member])
    return Evidence(float(weights[0]), weights[1:], variances[member])


def _expand(chunks: Chunks, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H [d + 1, d + 1] and the gradient [d + 1] of the log-likelihood at `weights`."""
    width = len(weights)
    curvature, slope = np.zeros((width, width)), np.zeros(width)
    for rows, click in chunks():
        probability = 1.0 / (1.0 + np.exp(-(weights[0] + rows @ weights[1:].astype(np.float32))))
        noise = np.sqrt(probability * (1.0 - probability)).astype(np.float32)
        scaled = np.concatenate([noise[:, None], rows * noise[:, None]], axis=1)
        curvature += scaled.T @ scaled
        residual = click - probability
        slope[0] += residual.sum()
        slope[1:] += residual.astype(np.float32) @ rows
    return curvature, slope


def _posterior(curvature: np.ndarray, target: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d + 1] of (1) and the diagonal of A^-1; columns of groups that are off are left out and get 0."""
    from scipy.linalg import cho_factor, cho_solve

    alive = np.flatnonzero(np.concatenate([[True], variances > LEAST]))
    precision = curvature[np.ix_(alive, alive)]
    precision[np.arange(1, len(alive)), np.arange(1, len(alive))] += 1.0 / variances[alive[1:] - 1]
    inverse = cho_solve(cho_factor(precision, lower=True), np.eye(len(alive)))
    mean, spread = np.zeros(len(target)), np.zeros(len(target))
    mean[alive], spread[alive] = inverse @ target[alive], np.diag(inverse)
    return mean, spread


def _update(
    weights: np.ndarray, spread: np.ndarray, variances: np.ndarray, member: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Equation (2) per group; a group that is off stays off."""
    groups = len(sizes)
    squares = np.bincount(member, weights**2, groups)
    alive = variances > LEAST
    safe = np.where(alive, variances, 1.0)
    determined = np.clip(sizes - np.bincount(member, spread, groups) / safe, 1e-6, sizes)
    return np.where(alive, np.clip(squares / determined, 0.0, MOST), 0.0)
