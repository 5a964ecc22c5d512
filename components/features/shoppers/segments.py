"""Shopper segments: a mixture of Gaussians over tastes, fitted on training time, assigned as of each moment.

Each segment has a mean, and all segments have one covariance. With equal variances instead, clusters would follow the
directions of largest variance within segments (McLachlan & Peel 2000, "Finite Mixture Models", 3.8). The most probable
segment of x has the largest of the linear scores

    x . directions_g + offset_g,     directions_g = S^-1 m_g,     offset_g = log share_g - m_g . S^-1 m_g / 2       (1)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.features.shoppers.shrunken_average import ShrunkenAverage
from components.features.shoppers.tastes import Taste

MAX_SHOPPERS = 50_000  # for fitting; more shoppers do not make means and covariances better
SEGMENT_TASTES = ("kind", "category")  # the tastes that segments are fitted on, if a data set has them
MIN_SHARE = 1e-3  # a level with a smaller share of all events is left out, since its logarithm is noise
RIDGE = 1e-3  # added to the diagonal of the covariance of columns of unit variance


@dataclass(frozen=True)
class Segments:
    """names: the tastes that are used. mean, scale: float64 [k], of their columns; directions: float64 [segments, k],
    offset: float64 [segments], see (1). Segment 0 is the largest."""

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    offset: np.ndarray

    @classmethod
    def fit(cls, tastes: Sequence[Taste], estimates: Sequence[np.ndarray], count: int, seed: int) -> "Segments | None":
        """At most `count` segments of tastes, each float64 [shoppers, k_i]; None if all shoppers are equal."""
        from sklearn.mixture import GaussianMixture

        names = _tastes_read(tastes)
        columns = _columns(names, tastes, estimates)
        if len(columns) > MAX_SHOPPERS:
            columns = columns[np.sort(np.random.default_rng(seed).choice(len(columns), MAX_SHOPPERS, replace=False))]
        mean, deviation = columns.mean(axis=0), columns.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        scaled = (columns - mean) / scale
        number = min(count, len(np.unique(np.round(scaled, 6), axis=0)))
        if number < 2:
            return None
        mixture = GaussianMixture(number, covariance_type="tied", reg_covar=RIDGE, n_init=4, random_state=seed)
        sizes = np.bincount(mixture.fit_predict(scaled), minlength=number)
        order = np.lexsort((np.arange(number), -sizes))
        means = mixture.means_[order]
        directions = means @ mixture.precisions_
        offset = np.log(np.maximum(mixture.weights_[order], 1e-300)) - (directions * means).sum(axis=1) / 2
        return cls(names, mean, scale, np.round(directions, 6), np.round(offset, 6))

    def assign(self, tastes: Sequence[Taste], estimates: Sequence[np.ndarray]) -> np.ndarray:
        """int64 [n], the most probable segment of estimates, by taste float [n, k_i]."""
        columns = (_columns(self.names, tastes, estimates) - self.mean) / self.scale
        return (columns @ self.directions.T + self.offset).argmax(axis=1)


def _tastes_read(tastes: Sequence[Taste]) -> tuple[str, ...]:
    """The names of the tastes to use: SEGMENT_TASTES, or all if a data set lacks one of them."""
    named = tuple(taste.name for taste in tastes)
    return SEGMENT_TASTES if set(SEGMENT_TASTES) <= set(named) else named


def _columns(names: tuple[str, ...], tastes: Sequence[Taste], estimates: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [n, k]: tastes as they are; of release 0.1, shares as the logarithm of their ratio to the prior."""
    blocks = []
    for taste, estimate in zip(tastes, estimates, strict=True):
        if taste.name not in names:
            continue
        values = np.asarray(estimate, dtype=np.float64)
        if isinstance(taste, ShrunkenAverage) and taste.is_share:
            common = taste.prior > MIN_SHARE
            values = np.log(np.maximum(values[:, common], 1e-9) / taste.prior[common])
        blocks.append(values)
    return np.concatenate(blocks, axis=1)
