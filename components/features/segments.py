"""Tastes -> a handful of shopper segments (k-means, fitted on training time, assigned as of each impression)."""

from dataclasses import dataclass

import numpy as np

AT_ONCE = 65_536  # rows that are assigned in one go: a few dozen megabytes
MOST_SHOPPERS = 50_000  # centroids are averages; more shoppers than this only cost time


@dataclass(frozen=True)
class Segments:
    """Centroids in the space of tastes, each trait scaled to the same total variance.

    mean, scale: float64 [k]; centroids: float64 [segments, k]; segment 0 is the largest.
    """

    mean: np.ndarray
    scale: np.ndarray
    centroids: np.ndarray

    @classmethod
    def fit(cls, tastes: tuple[np.ndarray, ...], count: int, seed: int) -> "Segments":
        """tastes: per trait float64 [shoppers, k_i] -> at most `count` segments."""
        from sklearn.cluster import KMeans

        stacked = np.concatenate(tastes, axis=1)
        if len(stacked) > MOST_SHOPPERS:
            chosen = np.random.default_rng(seed).choice(len(stacked), MOST_SHOPPERS, replace=False)
            stacked = stacked[np.sort(chosen)]
        mean = stacked.mean(axis=0)
        # one scale per trait: within a trait, the axes that vary more are the ones that tell shoppers apart
        spread = [np.sqrt(taste.var(axis=0).sum()) for taste in tastes]
        scale = np.concatenate(
            [np.full(taste.shape[1], deviation or 1.0) for taste, deviation in zip(tastes, spread, strict=True)]
        )
        scaled = (stacked - mean) / scale
        fewer = min(count, len(np.unique(np.round(scaled, 6), axis=0)))
        fitted = KMeans(fewer, n_init=4, random_state=seed).fit(scaled)
        sizes = np.bincount(fitted.labels_, minlength=fewer)
        order = np.lexsort((np.arange(fewer), -sizes))
        return cls(mean, scale, np.round(fitted.cluster_centers_[order], 6))

    def assign(self, tastes: np.ndarray) -> np.ndarray:
        """tastes [n, k] -> int64 [n], the nearest centroid."""
        nearest = np.empty(len(tastes), dtype=np.int64)
        for start in range(0, len(tastes), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            scaled = (tastes[rows].astype(np.float64) - self.mean) / self.scale
            # |x - c|^2 without the |x|^2 that all centroids share: [n, segments], never [n, segments, k]
            distance = (self.centroids**2).sum(axis=1) - 2.0 * scaled @ self.centroids.T
            nearest[rows] = distance.argmin(axis=1)
        return nearest
