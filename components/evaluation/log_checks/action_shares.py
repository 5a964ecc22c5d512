"""Chi-squared test whether groups of (impression, action) pairs were shown as often as the logging distribution says.

Given the contexts, the counts per group have mean sum_i p_i and covariance C = sum_i (diag(p_i) - p_i p_i'), where p_i
is impression i's probability of each group. Few groups are tested with the whole of C. With thousands of actions C is
too large to invert, so more than MAX_GROUPS are tested twice, at half the error probability each: pooled into
MAX_GROUPS groups with their C, which detects a shift of many actions, and one by one, which detects that of a single
one.
"""

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import spread

MAX_GROUPS = 256
MIN_EXPECTED = 20.0  # expected rows of a group; with fewer the normal approximation is poor
SPARSE_COST = 20.0  # time of one product of a sparse table over that of a dense table
BLOCK = 20_000  # impressions whose dense table of groups is in memory at a time


def shares_chance(log: LoggedDecisions, group: np.ndarray, error: np.ndarray) -> float:
    """The p-value of the counts per `group` (int64 [n_pairs]): in [0, 1].

    error: float64 [n_pairs], the rounding error of `log.logging`. A group's summed error counts as one more standard
    deviation. Rounding shifts all rows of a group alike, and so is no evidence at any sample size.
    """
    group = np.unique(group, return_inverse=True)[1]
    bundles = _bundled(np.bincount(group, log.logging))
    if int(group.max()) < MAX_GROUPS:
        return _all_at_once(log, bundles[group], error)
    rank = np.argsort(np.argsort(-np.bincount(bundles[group], log.logging), kind="stable"), kind="stable")
    pooled = _all_at_once(log, (rank % MAX_GROUPS)[bundles[group]], error)
    return min(1.0, 2 * min(pooled, _one_by_one(log, group, error)))


def _all_at_once(log: LoggedDecisions, group: np.ndarray, error: np.ndarray) -> float:
    from scipy.stats import chi2

    size = int(group.max()) + 1
    if size < 2:
        return 1.0
    expected, rounded = np.bincount(group, log.logging, size), np.bincount(group, error, size)
    gap = np.bincount(group[log.logged], minlength=size) - expected
    values, vectors = np.linalg.eigh(np.diag(expected + rounded**2) - _crossed(log, group, size))
    used = values > 1e-9 * max(values.max(), 1e-300)
    if not used.any():
        return 1.0
    statistic = float((((vectors.T @ gap)[used]) ** 2 / values[used]).sum())
    return float(chi2.sf(statistic, int(used.sum())))


def _crossed(log: LoggedDecisions, group: np.ndarray, size: int) -> np.ndarray:
    """sum_i p_i p_i': float64 [size, size]; a sparse product if impressions have few of the groups each."""
    from scipy.sparse import csr_matrix

    if SPARSE_COST * (len(group) / log.n) ** 2 < size**2:
        table = csr_matrix((log.logging, (spread(np.arange(log.n), log.offsets), group)), shape=(log.n, size))
        return (table.T @ table).toarray()
    total = np.zeros((size, size))
    for first in range(0, log.n, BLOCK):
        last = min(first + BLOCK, log.n)
        pairs = slice(log.offsets[first], log.offsets[last])
        row = spread(np.arange(last - first), log.offsets[first : last + 1] - log.offsets[first])
        table = np.bincount(row * size + group[pairs], log.logging[pairs], (last - first) * size)
        table = table.reshape(last - first, size)
        total += table.T @ table
    return total


def _one_by_one(log: LoggedDecisions, group: np.ndarray, error: np.ndarray) -> float:
    """The smallest p-value of a group times their number (Bonferroni), by Poisson tails, which are conservative."""
    from scipy.stats import poisson

    size = int(group.max()) + 1
    expected, rounded = np.bincount(group, log.logging, size), np.bincount(group, error, size)
    shown = np.bincount(group[log.logged], minlength=size)
    high, low = expected + rounded, np.maximum(expected - rounded, 0.0)
    chance = np.minimum(poisson.sf(shown - 1, high), poisson.cdf(shown, low))
    return min(1.0, 2 * size * float(chance.min()))


def _bundled(expected: np.ndarray) -> np.ndarray:
    """The code of each of the groups with `expected` counts [k] after rare ones are merged: int64 [k].

    Rare groups are merged in order of their expectation, which does not depend on what was shown.
    """
    rare = np.flatnonzero(expected < MIN_EXPECTED)
    rare = rare[np.argsort(expected[rare], kind="stable")]
    before = np.cumsum(expected[rare]) - expected[rare]
    bundle = np.minimum(before // MIN_EXPECTED, max(expected[rare].sum() // MIN_EXPECTED - 1, 0)).astype(np.int64)
    group = np.arange(len(expected))
    group[rare] = len(expected) + bundle
    return np.unique(group, return_inverse=True)[1]
