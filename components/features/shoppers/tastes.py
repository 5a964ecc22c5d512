"""Tastes of shoppers: how much more often a shopper chooses things of one kind than others with the same choice do.

Both classes compare a shopper's events with what all shoppers do within the same group of products (`share`, `centres`;
one category in one language), so a taste for a brand does not repeat which categories are browsed.

Levels, such as brands. With N events of a level, and E expected from the groups of the shopper's events, N is Poisson
with mean E exp(u), u ~ N(0, v). The taste is the most probable u (the Poisson-lognormal model: Aitchison & Ho 1989),

    N - E exp(u) - u / v = 0                                                                                     (1)

where N and E are divided by the number of events of a visit that are worth one, if events of a visit resemble each
other.

Vectors, such as the look of a photo. If a shopper chooses x with probability proportional to exp(l . x), and x has
covariance S within a group, chosen vectors have mean S l (exponential tilting). With l ~ N(0, T), n events and sum s,

    l = (n S + T^-1)^-1 s = A diag(1 / (n + kappa_j)) A' s,     A' S A = 1,   A' S T S A = diag(1 / kappa_j)      (2)

S T S is the covariance of means between shoppers. Axes along which shoppers differ little are left out: there a mean
shows the limits of a small catalogue and not a taste. l . x is then the taste for x in log-odds.
"""

from dataclasses import dataclass

import numpy as np

from components.features.shoppers.attribute import Attribute
from components.features.shoppers.between_shoppers import ShopperEvents, Variation, group_means
from components.features.shoppers.shrunken_average import ShrunkenAverage
from components.features.timeline import Rows

MIN_RELATIVE_VARIANCE = 0.25  # axes with a smaller variance between shoppers, relative to the largest, are left out
MIN_KAPPA, MAX_KAPPA = 0.1, 1e4  # if shoppers do not differ, kappa is infinite and nobody has a taste
MIN_VARIANCE, MIN_SCALE = 1e-4, 1e-9
MAX_TASTE = 8.0  # odds of 3,000: larger ones come from a handful of events where none were expected
STEPS, MAX_STEP = 8, 2.0
RIDGE = 1e-3  # times the mean variance, added to S, which is singular if columns depend on each other


@dataclass(frozen=True)
class LevelTaste(Attribute):
    """The parameters of (1) for k levels. level_columns: their names; share: float64 [groups, k], of a group's events;
    variance: v; repeats: the number of events that are worth one, at least 1."""

    level_columns: tuple[str, ...]
    share: np.ndarray
    variance: float
    repeats: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Names such as `category:Shirt`."""
        return self.level_columns

    @classmethod
    def fit(cls, columns: tuple[str, ...], events: ShopperEvents) -> "LevelTaste":
        """The taste fitted on events of training time, whose table has 0/1 rows.

        With expected shares p_k, and shares of one shopper in proportion to p_k exp(u_k), the shares' variances sum to
        (exp(v) - 1) sum_k p_k^2 (1 - 2 p_k + sum_j p_j^2), to first order.
        """
        share = np.round(group_means(events), 9)
        variation = Variation.of(events, events.table - share[events.group])
        squares = (share**2).sum(axis=1)
        unit = (share**2 * (1 - 2 * share + squares[:, None])).sum(axis=1)  # [groups]
        often = np.bincount(events.row, minlength=len(events.table)) / max(len(events.row), 1)
        scale = float(often @ unit[events.group])
        variance = np.log1p(max(variation.between.trace(), 0.0) / scale) if scale > MIN_SCALE else 0.0
        within = variation.within.trace()
        repeats = variation.noise.trace() / within if within > 0 else 1.0
        return cls(columns, share, round(max(float(variance), MIN_VARIANCE), 6), round(max(float(repeats), 1.0), 6))

    def estimate(self, rows: Rows, table: np.ndarray, row: np.ndarray, group: np.ndarray) -> np.ndarray:
        """(1), float64 [n, k], for ranges of events [n] in a sequence of m events: rows `row` [m] of table [r, k], in
        groups `group` [r]. 0 without events, and for a level without events in training."""
        seen = np.maximum(rows.sums_of(table, row), 0.0) / self.repeats
        expected = np.maximum(rows.sums_of(self.share[group], row), 0.0) / self.repeats
        tastes = np.zeros_like(seen)
        known = self.share.any(axis=0)
        tastes[:, known] = most_probable(seen[:, known], expected[:, known], self.variance)
        return tastes


def most_probable(seen: np.ndarray, expected: np.ndarray, variance: float) -> np.ndarray:
    """The root u of (1) in [-MAX_TASTE, MAX_TASTE] for N = seen and E = expected, by Newton's method in short steps."""
    precision = 1.0 / variance
    tastes = np.log((seen + precision) / (expected + precision))
    for _ in range(STEPS):
        _hold(tastes, MAX_TASTE)
        rate = expected * np.exp(tastes)
        tastes += _hold((seen - rate - precision * tastes) / (rate + precision), MAX_STEP)
    return _hold(tastes, MAX_TASTE)


def _hold(values: np.ndarray, most: float) -> np.ndarray:
    """`values` themselves, held to [-most, most]; np.clip takes three times as long for the few of one request."""
    return np.minimum(np.maximum(values, -most, out=values), most, out=values)


@dataclass(frozen=True)
class VectorTaste(Attribute):
    """The parameters of (2) for vectors of k columns. centres: float64 [groups, k], means of a group's events; axes:
    float64 [k, a]; kappa: float64 [a]."""

    vector_columns: tuple[str, ...]
    centres: np.ndarray
    axes: np.ndarray
    kappa: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        """Names such as `look:00`."""
        return self.vector_columns

    @classmethod
    def fit(cls, columns: tuple[str, ...], events: ShopperEvents) -> "VectorTaste":
        """The taste fitted on events of training time. Without differences between shoppers it has no axes."""
        from scipy.linalg import eigh

        centres = np.round(group_means(events), 9)
        variation = Variation.of(events, events.table - centres[events.group])
        within = _without_negative_variances(variation.within)
        scale = within.trace() / len(within)
        if not scale > 0:
            return cls(columns, centres, np.zeros((len(columns), 0)), np.zeros(0))
        variance, axes = eigh(variation.between, within + RIDGE * scale * np.eye(len(within)))
        kept = variance >= max(MIN_RELATIVE_VARIANCE * variance.max(), 1 / MAX_KAPPA)
        kappa = np.maximum(1 / variance[kept], MIN_KAPPA)
        return cls(columns, centres, np.round(_signed(axes[:, kept]), 9), np.round(kappa, 6))

    def estimate(self, rows: Rows, table: np.ndarray, row: np.ndarray, group: np.ndarray) -> np.ndarray:
        """(2), l as float64 [n, k], for ranges of events as in `LevelTaste.estimate`."""
        sums = rows.sums_of((table - self.centres[group]) @ self.axes, row)  # (n, a)
        return sums / (rows.count[:, None] + self.kappa) @ self.axes.T


def _without_negative_variances(covariance: np.ndarray) -> np.ndarray:
    """The nearest covariance: moments of few events may have negative variances along some axes."""
    variances, axes = np.linalg.eigh(covariance)
    return (axes * np.maximum(variances, 0.0)) @ axes.T


def _signed(axes: np.ndarray) -> np.ndarray:
    """The axes, each with its largest coordinate positive; (2) is the same for either sign."""
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)


Taste = LevelTaste | VectorTaste | ShrunkenAverage  # the last is that of packages of earlier releases


def fit_taste(columns: tuple[str, ...], events: ShopperEvents) -> LevelTaste | VectorTaste:
    """The taste for an attribute whose table has one-hot rows (levels), or other rows (vectors)."""
    table = events.table
    one_hot = bool(np.isin(table, (0.0, 1.0)).all() and (table.sum(axis=1) <= 1).all())
    return (LevelTaste if one_hot else VectorTaste).fit(columns, events)
