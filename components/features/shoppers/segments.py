"""Behaviour -> a handful of shopper segments: a mixture of Gaussians, fitted on training time, assigned at each moment.

Shoppers of a segment share a mean; around it they differ by one covariance that all segments share. Without that,
a segmentation follows whatever varies most within segments (McLachlan & Peel 2000, "Finite Mixture Models", 3.8). With
it, the most probable segment of x is the largest of linear scores

    x . directions_g + offset_g,     directions_g = S^-1 m_g,     offset_g = log share_g - m_g . S^-1 m_g / 2       (1)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.features.shoppers.shrunken_average import Taste

MOST_SHOPPERS = 50_000  # means and covariances are averages; more shoppers than this only cost time
FIRST = ("kind", "category")  # what people do, and with what: tastes that tell segments apart where a data set has them
RAREST = 1e-3  # a level with a smaller share of all touches is left out: its logarithm is noise
RIDGE = 1e-3  # added to the diagonal of the covariance of columns of unit variance


@dataclass(frozen=True)
class Segments:
    """names: the tastes that are read. mean, scale: float64 [k], of their columns; directions: float64 [segments, k],
    offset: float64 [segments], see (1). Segment 0 is the largest."""

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    offset: np.ndarray

    @classmethod
    def fit(cls, tastes: Sequence[Taste], averages: Sequence[np.ndarray], count: int, seed: int) -> "Segments | None":
        """averages: per taste float64 [shoppers, k_i] -> at most `count` segments; None where no shopper differs."""
        from sklearn.mixture import GaussianMixture

        names = _telling(tastes)
        columns = _columns(names, tastes, averages)
        if len(columns) > MOST_SHOPPERS:
            columns = columns[np.sort(np.random.default_rng(seed).choice(len(columns), MOST_SHOPPERS, replace=False))]
        mean, deviation = columns.mean(axis=0), columns.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        scaled = (columns - mean) / scale
        fewer = min(count, len(np.unique(np.round(scaled, 6), axis=0)))
        if fewer < 2:
            return None
        mixture = GaussianMixture(fewer, covariance_type="tied", reg_covar=RIDGE, n_init=4, random_state=seed)
        sizes = np.bincount(mixture.fit_predict(scaled), minlength=fewer)
        order = np.lexsort((np.arange(fewer), -sizes))
        means = mixture.means_[order]
        directions = means @ mixture.precisions_
        offset = np.log(np.maximum(mixture.weights_[order], 1e-300)) - (directions * means).sum(axis=1) / 2
        return cls(names, mean, scale, np.round(directions, 6), np.round(offset, 6))

    def assign(self, tastes: Sequence[Taste], averages: Sequence[np.ndarray]) -> np.ndarray:
        """averages: per taste float [n, k_i] -> int64 [n], the most probable segment."""
        columns = (_columns(self.names, tastes, averages) - self.mean) / self.scale
        return (columns @ self.directions.T + self.offset).argmax(axis=1)


def _telling(tastes: Sequence[Taste]) -> tuple[str, ...]:
    """The names of the tastes to read: FIRST, and all others where a data set has no categories."""
    named = tuple(taste.name for taste in tastes)
    return FIRST if set(FIRST) <= set(named) else named


def _columns(names: tuple[str, ...], tastes: Sequence[Taste], averages: Sequence[np.ndarray]) -> np.ndarray:
    """Shares as the logarithm of their ratio to everybody's, other averages as they are: float64 [n, k]."""
    blocks = []
    for taste, average in zip(tastes, averages, strict=True):
        if taste.name not in names:
            continue
        values = np.asarray(average, dtype=np.float64)
        if taste.is_share:
            common = taste.prior > RAREST
            values = np.log(np.maximum(values[:, common], 1e-9) / taste.prior[common])
        blocks.append(values)
    return np.concatenate(blocks, axis=1)
