"""Distances between two sets of feature vectors, the metrics of generators, in NumPy and float64."""

import numpy as np

from components.images import nearest

NEIGHBOURS = 5  # Naeem et al. use 5 for density and coverage, Kynkaanniemi et al. 3 for precision and recall
SUBSETS, SUBSET = 20, 500
MIN_MEMBERS = 20  # of a group whose spread is compared; the spread of two or three is noise, that of one is 0


def frechet(real: np.ndarray, made: np.ndarray) -> float:
    """Squared Frechet distance >= 0 of normal fits to float [n, d] and float [m, d] (Heusel et al. 2017, eq. 6)."""
    gap = real.mean(axis=0, dtype=np.float64) - made.mean(axis=0, dtype=np.float64)
    one, other = (np.cov(values.astype(np.float64), rowvar=False) for values in (real, made))
    # trace of sqrt(one @ other) by the symmetric root of `one`, since the square root of the product is not stable
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    middle = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0.0)).sum()
    return max(0.0, float(gap @ gap + np.trace(one) + np.trace(other) - 2.0 * middle))


def kernel_distance(real: np.ndarray, made: np.ndarray, seed: int = 0) -> float:
    """KID of float [n, d] and float [m, d] (Binkowski et al. 2018); unbiased, so it may be slightly below 0.

    The mean over random subsets of the squared discrepancy under the cubic kernel (x.y / d + 1)^3.
    """
    random = np.random.default_rng(seed)
    size = min(SUBSET, len(real), len(made))
    estimates = []
    for _ in range(SUBSETS):
        one = real[random.choice(len(real), size, replace=False)].astype(np.float64)
        other = made[random.choice(len(made), size, replace=False)].astype(np.float64)
        within = sum((_cubic(values, values).sum() - np.trace(_cubic(values, values))) for values in (one, other))
        estimates.append(within / (size * (size - 1)) - 2.0 * _cubic(one, other).mean())
    return float(np.mean(estimates))


def density_coverage(real: np.ndarray, made: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """(density >= 0, coverage in [0, 1]) of float [m, d] given real float [n, d] (Naeem et al. 2020, eqs. 3 and 5)."""
    radii = nearest(real, real, k + 1)[1][:, -1]
    distances = _pairwise(real, made)  # (n, m)
    inside = distances <= radii[:, None]
    return float(inside.sum() / (k * len(made))), float((distances.min(axis=1) <= radii).mean())


def precision_recall(real: np.ndarray, made: np.ndarray, k: int = 3) -> tuple[float, float]:
    """(precision, recall) in [0, 1] of float [m, d] given real float [n, d] (Kynkaanniemi et al. 2019, eq. 1)."""
    distances = _pairwise(real, made)
    real_radii = nearest(real, real, k + 1)[1][:, -1]
    made_radii = nearest(made, made, k + 1)[1][:, -1]
    precision = (distances <= real_radii[:, None]).any(axis=0).mean()
    return float(precision), float((distances <= made_radii[None, :]).any(axis=1).mean())


def spread(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float64 [groups], the mean distance between two members of each group, by group code."""
    means = []
    for group in np.unique(groups):
        members = features[groups == group][:300].astype(np.float64)
        distances = _pairwise(members, members)
        means.append(distances.sum() / max(1, len(members) * (len(members) - 1)))
    return np.array(means)


def relative_spread(made: np.ndarray, made_groups: np.ndarray, real: np.ndarray, real_groups: np.ndarray) -> float:
    """Smallest ratio of the spread of a common group to that of its real members, about 1 without mode collapse.

    Groups of fewer than MIN_MEMBERS on either side are left out, unless there are no others.
    """
    known, counts = zip(*(np.unique(groups, return_counts=True) for groups in (made_groups, real_groups)), strict=True)
    shared = np.intersect1d(*known)
    large = np.intersect1d(*(codes[count >= MIN_MEMBERS] for codes, count in zip(known, counts, strict=True)))
    shared = large if len(large) else shared
    in_made, in_real = np.isin(made_groups, shared), np.isin(real_groups, shared)
    real_spread = np.maximum(spread(real[in_real], real_groups[in_real]), 1e-9)
    ratio = spread(made[in_made], made_groups[in_made]) / real_spread
    return float(ratio.min())


def _cubic(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one @ other.T / one.shape[1] + 1.0) ** 3


def _pairwise(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2.0 * one @ other.T
    return np.sqrt(np.maximum(squares, 0.0))
