"""Were groups of (impression, action) pairs shown as often as the logging distribution says? Chi-squared, at any size.

Given the contexts, counts per group have mean sum_i p_i and covariance C = sum_i (diag(p_i) - p_i p_i'), p_i being
impression i's probability of each group. Few groups are tested by all of C. C of thousands of actions is too large to
invert, so more than MOST_GROUPS are tested twice, at half the error probability each: pooled into MOST_GROUPS groups by
all of their C, which sees what moves many actions, and one by one by their own tails, which sees a single one.
"""

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import spread

MOST_GROUPS = 256
FEWEST = 20.0  # expected rows of a group; below, the normal approximation is poor
SPARSE = 20.0  # how much longer one product of a sparse table takes than one of a dense table
BLOCK = 20_000  # impressions whose dense table of groups is held at a time


def shares_chance(log: LoggedDecisions, group: np.ndarray, error: np.ndarray) -> float:
    """Chance of counts per `group` (int64 [n_pairs]) as far from their expectation as these, in [0, 1].

    error: float64 [n_pairs], the rounding error of `log.logging`. A group's summed error counts as one more standard
    deviation, so that rounding, which moves all rows of a group alike, is not taken for evidence at any sample size.
    """
    group = np.unique(group, return_inverse=True)[1]
    bundles = _bundled(np.bincount(group, log.logging))
    if int(group.max()) < MOST_GROUPS:
        return _all_at_once(log, bundles[group], error)
    rank = np.argsort(np.argsort(-np.bincount(bundles[group], log.logging), kind="stable"), kind="stable")
    together = _all_at_once(log, (rank % MOST_GROUPS)[bundles[group]], error)
    return min(1.0, 2 * min(together, _one_by_one(log, group, error)))


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
    """sum_i p_i p_i': float64 [size, size]; a sparse product where impressions have few of the groups each."""
    from scipy.sparse import csr_matrix

    if SPARSE * (len(group) / log.n) ** 2 < size**2:
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
    """The smallest of the groups' own chances, times their number (Bonferroni): Poisson tails, which are the wider."""
    from scipy.stats import poisson

    size = int(group.max()) + 1
    expected, rounded = np.bincount(group, log.logging, size), np.bincount(group, error, size)
    shown = np.bincount(group[log.logged], minlength=size)
    high, low = expected + rounded, np.maximum(expected - rounded, 0.0)
    chance = np.minimum(poisson.sf(shown - 1, high), poisson.cdf(shown, low))
    return min(1.0, 2 * size * float(chance.min()))


def _bundled(expected: np.ndarray) -> np.ndarray:
    """A group from 0 for each of `expected` counts [k]: its own, or one with others that are rare: int64 [k].

    Rare ones stand in order of their expectation, which what was shown does not touch.
    """
    rare = np.flatnonzero(expected < FEWEST)
    rare = rare[np.argsort(expected[rare], kind="stable")]
    before = np.cumsum(expected[rare]) - expected[rare]
    bundle = np.minimum(before // FEWEST, max(expected[rare].sum() // FEWEST - 1, 0)).astype(np.int64)
    group = np.arange(len(expected))
    group[rare] = len(expected) + bundle
    return np.unique(group, return_inverse=True)[1]
