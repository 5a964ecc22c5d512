"""A column and the judged rates of creatives, products or shoppers -> how much of their noise the column explains.

A unit is a creative, a product or a shopper. Its judged rate has a true part and noise. A column that is honest about
the past may know the true part, wholly or in part, but not the noise. So, once the rates are fitted by the column, two
rows of one unit share what is left of the true part, and the products of their residuals are at least 0 on average. A
column that was computed from the judged clicks has fitted the noise too, and the products are negative.

For unit s with residuals e_i = w_i (r_i - m_i p(z_s)) the statistic sums the products of rows i, j of distinct cells,

    T = - sum_s u_s sum_{i, j in s} (e_i e_j - E_0[e_i e_j])                                               (1)

p(z) is a smooth curve through the rates of units with like values of the column (a mean per level, where it holds
words), m_i what the row's position makes of a rate, u_s weighs units by what they can tell, and E_0 is what fitting p
takes from the products. Where the column knows the true rates wholly, T has mean 0; where it knows less, the mean is
negative; where it explains a share of the noise, positive. The sum over all pairs of rows is what two disjoint halves
of the rows share, averaged over all halves. The law of T is a gamma law with the mean, variance and skewness that
independent rows give it: a chi-squared law where units have many rows, near a Poisson law where they have few.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FEWEST_CLICKS = 30.0  # per knot of the curve
MOST_KNOTS = 40
MOST_LEVELS = 32  # of words, the commonest; the features keep as many
UNITS_PER_KNOT = 10
MOST_SKEWNESS = 1.0  # of T with about eight units; the gamma law does not hold with fewer
LEAST_RATE = 0.25  # of the mean rate: the least that a unit's noise is taken for


@dataclass(frozen=True)
class JudgedRows:
    """The shown rows that are judged, by unit; n rows.

    unit: int64 [n], codes from 0; cell: int64 [n], rows of one unit and cell are not independent (one shopper's);
    weight: float64 [n], 1 / propensity, or 1; reward: float64 [n], >= 0; relative: float64 [n], what the row's
    position makes of a rate, 1 on average.
    """

    unit: np.ndarray
    cell: np.ndarray
    weight: np.ndarray
    reward: np.ndarray
    relative: np.ndarray


@dataclass(frozen=True)
class Cells:
    """Sums over cells, each of one unit: float64 [c], of w m, w r, w^2 m and w^3 m; unit: int64 [c]."""

    unit: np.ndarray
    weight: np.ndarray
    reward: np.ndarray
    square: np.ndarray
    cube: np.ndarray

    @classmethod
    def of(cls, rows: JudgedRows) -> "Cells":
        """Rows -> sums of those that share unit and cell."""
        width = int(rows.cell.max(initial=0)) + 1
        keys, place = np.unique(rows.unit * width + rows.cell, return_inverse=True)
        weight = rows.weight * rows.relative
        parts = (weight, rows.weight * rows.reward, rows.weight * weight, rows.weight**2 * weight)
        return cls(keys // width, *(np.bincount(place, part, len(keys)) for part in parts))

    def by_unit(self, values: np.ndarray, units: int) -> np.ndarray:
        """float64 [c] -> float64 [units]."""
        return np.bincount(self.unit, values, units)


@dataclass(frozen=True)
class Evidence:
    """What one column shows. value: T over its standard deviation; skewness: of T, to the left; most: the value that a
    column would reach that explains all of the noise."""

    value: float
    skewness: float
    most: float

    @property
    def chance(self) -> float:
        """Chance of such a value, or a larger one, where the column knows the true rates and nothing more."""
        return _upper_tail(self.value, self.skewness)

    @property
    def explained(self) -> float:
        """About what share of the noise the column explains, in [0, 1]."""
        return float(np.clip(self.value / self.most, 0, 1)) if self.most > 0 else 0.0

    def could_tell(self, level: float) -> bool:
        """Whether a column that explains half of the noise, as a rate over twice the time does, would be found out."""
        return self.most > 0 and _upper_tail(self.most / 2, self.skewness) < level


def evidence(cells: Cells, like: "csr_array") -> Evidence:
    """Cells of the judged rows and the column -> (1). like: float64 [units, b], whose combinations fit the rates."""
    units = like.shape[0]
    weight = cells.by_unit(cells.weight, units)
    if not cells.reward.sum():
        return Evidence(0.0, 0.0, 0.0)
    inverse = np.linalg.pinv((like.T @ (like * weight[:, None])).toarray(), hermitian=True)  # [b, b]
    rate = like @ (inverse @ (like.T @ cells.by_unit(cells.reward, units)))  # [units]
    residual = cells.reward - rate[cells.unit] * cells.weight
    noise = np.maximum(rate, LEAST_RATE * cells.reward.sum() / weight.sum())
    noise = noise * (residual**2).sum() / (noise[cells.unit] * cells.square).sum()
    variance = noise[cells.unit] * cells.square  # [cells], of the residuals
    total = cells.by_unit(variance, units)
    spread = 2 * (total**2 - cells.by_unit(variance**2, units))  # [units], variance of the sum of products
    scale = np.divide(total * np.sqrt(noise), spread, out=np.zeros(units), where=spread > 1e-9 * total**2)
    leverage = np.asarray(like.multiply(like @ inverse).sum(axis=1)).ravel()
    free = 1 - leverage * weight  # what the fit leaves of each unit's noise, in [0, 1]
    free = np.where(free > 1e-9, free, 0.0)
    deviation = np.sqrt((scale**2 * spread * free).sum())
    if not deviation:
        return Evidence(0.0, 0.0, 0.0)
    shared = cells.by_unit(residual, units) ** 2 - cells.by_unit(residual**2, units)
    shared -= _taken(cells, like, inverse, variance, leverage)
    skewness = (scale**3 * _third_moment(cells, noise, units) * free).sum() / deviation**3
    return Evidence(
        float(-(scale * shared).sum() / deviation), float(skewness), float((scale * total * free).sum() / deviation)
    )


def _taken(
    cells: Cells, like: "csr_array", inverse: np.ndarray, variance: np.ndarray, leverage: np.ndarray
) -> np.ndarray:
    """E_0 in (1), per unit: the fitted rate follows the unit's own noise by its leverage. float64 [units]."""
    units = like.shape[0]
    weight, total = cells.by_unit(cells.weight, units), cells.by_unit(variance, units)
    middle = (like.T @ (like * total[:, None])).toarray()
    fitted = np.asarray(like.multiply(like @ (inverse @ middle @ inverse)).sum(axis=1)).ravel()  # its variance
    crossed = total * weight - cells.by_unit(variance * cells.weight, units)
    return fitted * (weight**2 - cells.by_unit(cells.weight**2, units)) - 2 * leverage * crossed


def _third_moment(cells: Cells, noise: np.ndarray, units: int) -> np.ndarray:
    """Of each unit's sum of products under independent rows, float64 [units]: 8 V_i V_j V_k over triples, 4 M_i M_j
    over pairs, for variances V and third moments M."""
    variance, cube = noise[cells.unit] * cells.square, noise[cells.unit] * cells.cube
    first, second, third = (cells.by_unit(variance**power, units) for power in (1, 2, 3))
    triples = first**3 - 3 * first * second + 2 * third
    return 8 * triples + 4 * (cells.by_unit(cube, units) ** 2 - cells.by_unit(cube**2, units))


def _upper_tail(value: float, skewness: float) -> float:
    """Chance of a standardised T of `value` or more, under the gamma law of that skewness to the left; else 1."""
    from scipy.stats import gamma, norm

    if skewness > MOST_SKEWNESS:
        return 1.0
    if skewness < 1e-3:
        return float(norm.sf(value))
    shape = 4 / skewness**2
    return float(gamma.cdf(shape - value * np.sqrt(shape), shape))


def like_values(values: np.ndarray, knots: int) -> "csr_array":
    """A number per unit, NaN where unknown -> float64 [units, knots + 1]: a curve through quantiles of the ranks.

    The curve is piecewise linear in the rank, so that it does not matter on which scale the column is; the last column
    is a rate of its own for the unknown.
    """
    from scipy.sparse import csr_array
    from scipy.stats import rankdata

    known, unknown = np.flatnonzero(~np.isnan(values)), np.flatnonzero(np.isnan(values))
    place = (rankdata(values[known]) - 1) / max(len(known) - 1, 1) * (knots - 1)  # in [0, knots - 1]
    left = np.minimum(place.astype(np.int64), knots - 2)
    data = np.concatenate([1 - (place - left), place - left, np.ones(len(unknown))])
    column = np.concatenate([left, left + 1, np.full(len(unknown), knots)])
    return csr_array((data, (np.concatenate([known, known, unknown]), column)), shape=(len(values), knots + 1))


def like_words(values: np.ndarray) -> "csr_array":
    """A word per unit -> float64 [units, levels]: a rate per level; null is a level, and so are all the rare ones."""
    from scipy.sparse import csr_array

    code = pd.factorize(values, use_na_sentinel=False)[0]
    counts = np.bincount(code)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(counts), dtype=np.int64)
    place[order] = np.minimum(np.arange(len(counts)), MOST_LEVELS)
    return csr_array((np.ones(len(code)), (np.arange(len(code)), place[code])))


def like(values: np.ndarray, clicks: float) -> "csr_array":
    """Numbers, or words as objects, per unit -> the basis of their curve; `clicks` limit how fine it is."""
    if values.dtype == object:
        return like_words(values)
    return like_values(values, int(np.clip(min(len(values) // UNITS_PER_KNOT, clicks / FEWEST_CLICKS), 2, MOST_KNOTS)))
