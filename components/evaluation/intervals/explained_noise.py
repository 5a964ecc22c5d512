"""The share of the noise in judged click rates that a column explains: a test whether clicks leaked into the column.

A unit is a creative, a product or a shopper. Its judged rate is a true rate plus noise. A column made before the judged
rows may predict the true rate, wholly or in part, but not the noise. So, after a fit of the rates by the column, two
rows of one unit share the rest of the true rate, and the products of their residuals are at least 0 on average. A
column that was computed from the judged clicks fits the noise too, and the products are negative.

For unit s with residuals e_i = w_i (r_i - m_i p(z_s)) the statistic sums the products of rows i, j of distinct cells,

    T = - sum_s u_s sum_{i, j in s} (e_i e_j - E_0[e_i e_j])                                               (1)

p(z) is a smooth curve through the rates of units with similar values of the column (for text, a mean per level), m_i
the factor of the row's position, u_s the weight of the unit by its information, and E_0 the mean of the products that
the fit of p causes. If the column determines the true rates, T has mean 0; if it predicts them in part, the mean is
negative; if it explains some of the noise, positive. The sum over all pairs of rows is the covariance of two disjoint
halves of the rows, averaged over all halves. T has a gamma distribution with the mean, variance and skewness of
independent rows: chi-squared if units have many rows, nearly Poisson if they have few.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CLICKS_PER_KNOT = 30.0  # per knot of the curve
MAX_KNOTS = 40
MAX_LEVELS = 32  # of text, the most frequent; the features have as many
UNITS_PER_KNOT = 10
MAX_SKEWNESS = 1.0  # of T with about eight units; with fewer the gamma distribution is no approximation
MIN_RELATIVE_RATE = 0.25  # of the mean rate: the least rate from which a unit's noise is computed


@dataclass(frozen=True)
class JudgedRows:
    """The judged rows, by unit; n rows.

    unit: int64 [n], codes from 0; cell: int64 [n], rows of one unit and cell are dependent (one shopper's); weight:
    float64 [n], 1 / propensity, or 1; reward: float64 [n], >= 0; relative: float64 [n], the factor of the row's
    position, 1 on average.
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
        """The sums over the rows of each unit and cell."""
        width = int(rows.cell.max(initial=0)) + 1
        keys, place = np.unique(rows.unit * width + rows.cell, return_inverse=True)
        weight = rows.weight * rows.relative
        columns = (weight, rows.weight * rows.reward, rows.weight * weight, rows.weight**2 * weight)
        return cls(keys // width, *(np.bincount(place, column, len(keys)) for column in columns))

    def by_unit(self, values: np.ndarray, units: int) -> np.ndarray:
        """The sums of `values` [c] over each unit's cells: float64 [units]."""
        return np.bincount(self.unit, values, units)


@dataclass(frozen=True)
class ExplainedNoise:
    """The test of one column.

    value: T over its standard deviation. skewness: of T, to the left. maximum: the value of a column that explains all
    of the noise.
    """

    value: float
    skewness: float
    maximum: float

    @property
    def chance(self) -> float:
        """Probability of such a value, or a larger one, if the column determines the true rates and nothing more."""
        return _upper_tail(self.value, self.skewness)

    @property
    def explained(self) -> float:
        """The estimated share of the noise that the column explains, in [0, 1]."""
        return float(np.clip(self.value / self.maximum, 0, 1)) if self.maximum > 0 else 0.0

    def has_power(self, level: float) -> bool:
        """Whether a column that explains half of the noise, as a rate over twice the time does, would be detected."""
        return self.maximum > 0 and _upper_tail(self.maximum / 2, self.skewness) < level


def explained_noise(cells: Cells, curve_basis: "csr_array") -> ExplainedNoise:
    """The test (1) on `cells`. curve_basis: float64 [units, b], whose combinations fit the rates."""
    units = curve_basis.shape[0]
    weight = cells.by_unit(cells.weight, units)
    if not cells.reward.sum():
        return ExplainedNoise(0.0, 0.0, 0.0)
    inverse = np.linalg.pinv((curve_basis.T @ (curve_basis * weight[:, None])).toarray(), hermitian=True)  # [b, b]
    rate = curve_basis @ (inverse @ (curve_basis.T @ cells.by_unit(cells.reward, units)))  # [units]
    residual = cells.reward - rate[cells.unit] * cells.weight
    noise = np.maximum(rate, MIN_RELATIVE_RATE * cells.reward.sum() / weight.sum())
    noise = noise * (residual**2).sum() / (noise[cells.unit] * cells.square).sum()
    variance = noise[cells.unit] * cells.square  # [cells], of the residuals
    total = cells.by_unit(variance, units)
    spread = 2 * (total**2 - cells.by_unit(variance**2, units))  # [units], variance of the sum of products
    scale = np.divide(total * np.sqrt(noise), spread, out=np.zeros(units), where=spread > 1e-9 * total**2)
    leverage = np.asarray(curve_basis.multiply(curve_basis @ inverse).sum(axis=1)).ravel()
    free = 1 - leverage * weight  # the share of each unit's noise that the fit does not take, in [0, 1]
    free = np.where(free > 1e-9, free, 0.0)
    deviation = np.sqrt((scale**2 * spread * free).sum())
    if not deviation:
        return ExplainedNoise(0.0, 0.0, 0.0)
    shared = cells.by_unit(residual, units) ** 2 - cells.by_unit(residual**2, units)
    shared -= _fit_effect(cells, curve_basis, inverse, variance, leverage)
    skewness = (scale**3 * _third_moment(cells, noise, units) * free).sum() / deviation**3
    return ExplainedNoise(
        float(-(scale * shared).sum() / deviation), float(skewness), float((scale * total * free).sum() / deviation)
    )


def _fit_effect(
    cells: Cells, curve_basis: "csr_array", inverse: np.ndarray, variance: np.ndarray, leverage: np.ndarray
) -> np.ndarray:
    """E_0 in (1), per unit, because the fitted rate follows the unit's noise by its leverage: float64 [units]."""
    units = curve_basis.shape[0]
    weight, total = cells.by_unit(cells.weight, units), cells.by_unit(variance, units)
    middle = (curve_basis.T @ (curve_basis * total[:, None])).toarray()
    fitted = np.asarray(
        curve_basis.multiply(curve_basis @ (inverse @ middle @ inverse)).sum(axis=1)
    ).ravel()  # its variance
    crossed = total * weight - cells.by_unit(variance * cells.weight, units)
    return fitted * (weight**2 - cells.by_unit(cells.weight**2, units)) - 2 * leverage * crossed


def _third_moment(cells: Cells, noise: np.ndarray, units: int) -> np.ndarray:
    """The third moment of each unit's sum of products under independent rows: float64 [units].

    It is the sum of 8 V_i V_j V_k over triples and of 4 M_i M_j over pairs, for variances V and third moments M.
    """
    variance, cube = noise[cells.unit] * cells.square, noise[cells.unit] * cells.cube
    first, second, third = (cells.by_unit(variance**power, units) for power in (1, 2, 3))
    triples = first**3 - 3 * first * second + 2 * third
    return 8 * triples + 4 * (cells.by_unit(cube, units) ** 2 - cells.by_unit(cube**2, units))


def _upper_tail(value: float, skewness: float) -> float:
    """Probability of a standardised T of at least `value`, for a gamma distribution with that skewness to the left.

    It is 1 if the skewness is above MAX_SKEWNESS.
    """
    from scipy.stats import gamma, norm

    if skewness > MAX_SKEWNESS:
        return 1.0
    if skewness < 1e-3:
        return float(norm.sf(value))
    shape = 4 / skewness**2
    return float(gamma.cdf(shape - value * np.sqrt(shape), shape))


def number_basis(values: np.ndarray, knots: int) -> "csr_array":
    """The basis of a curve over a number per unit (NaN: unknown), with knots at quantiles: float64 [units, knots + 1].

    The curve is piecewise linear in the rank, so the scale of the column does not matter; the last column of the basis
    is the rate of unknown values.
    """
    from scipy.sparse import csr_array
    from scipy.stats import rankdata

    known, unknown = np.flatnonzero(~np.isnan(values)), np.flatnonzero(np.isnan(values))
    place = (rankdata(values[known]) - 1) / max(len(known) - 1, 1) * (knots - 1)  # in [0, knots - 1]
    left = np.minimum(place.astype(np.int64), knots - 2)
    data = np.concatenate([1 - (place - left), place - left, np.ones(len(unknown))])
    column = np.concatenate([left, left + 1, np.full(len(unknown), knots)])
    return csr_array((data, (np.concatenate([known, known, unknown]), column)), shape=(len(values), knots + 1))


def level_basis(values: np.ndarray) -> "csr_array":
    """The basis of a rate per level of a text per unit: float64 [units, levels].

    Null is a level, and all rare texts together are one.
    """
    from scipy.sparse import csr_array

    code = pd.factorize(values, use_na_sentinel=False)[0]
    counts = np.bincount(code)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(counts), dtype=np.int64)
    place[order] = np.minimum(np.arange(len(counts)), MAX_LEVELS)
    return csr_array((np.ones(len(code)), (np.arange(len(code)), place[code])))


def curve_basis(values: np.ndarray, clicks: float) -> "csr_array":
    """The basis for a number, or a text (dtype object), per unit; the number of clicks limits its size."""
    if values.dtype == object:
        return level_basis(values)
    return number_basis(
        values, int(np.clip(min(len(values) // UNITS_PER_KNOT, clicks / CLICKS_PER_KNOT), 2, MAX_KNOTS))
    )
