"""Estimates -> 95 % intervals by a studentised bootstrap over shoppers.

Every quantity here is a smooth function of a few sums over shoppers: values are (sum a / sum b) terms. So one matrix of
per-shopper sums serves all estimators, and one product of resampling counts with it serves all replicates. The
studentised (bootstrap-t) interval is second-order accurate under the skew that large weights bring (Hall 1988).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from components.evaluation.estimators import Contributions

MAX_BAGS = 4096  # more shoppers than this are pooled at random: sums keep their mean, variance and skewness per row


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; NaN never occurs, absence is None on the holder's side."""

    value: float
    ci_low: float
    ci_high: float

    def to_dict(self) -> dict[str, float]:
        """The JSON of one interval."""
        return {"value": self.value, "ci_low": self.ci_low, "ci_high": self.ci_high}


@dataclass(frozen=True)
class Ratios:
    """A quantity sum_k sign_k * numerator_k / denominator_k; each numerator and denominator is float64 [n]."""

    terms: tuple[tuple[float, np.ndarray, np.ndarray], ...]

    def value(self) -> float:
        """The quantity on the whole log."""
        return float(sum(sign * top.sum() / bottom.sum() for sign, top, bottom in self.terms))


def value_of(contributions: Contributions) -> Ratios:
    """The estimate that `contributions` stand for, in as few terms as it has."""
    ones = np.ones_like(contributions.direct)
    if np.array_equal(contributions.mass, ones):
        return Ratios(((1.0, contributions.direct + contributions.residual, ones),))
    weighted = (1.0, contributions.residual, contributions.mass)
    return Ratios(((1.0, contributions.direct, ones), weighted) if contributions.direct.any() else (weighted,))


def difference(left: Ratios, right: Ratios) -> Ratios:
    """left - right, on the same rows."""
    return Ratios(left.terms + tuple((-sign, top, bottom) for sign, top, bottom in right.terms))


def bootstrap(
    quantities: dict[str, Ratios],
    cluster: np.ndarray,
    replicates: int,
    seed: int,
    level: float = 0.95,
    most_bags: int = MAX_BAGS,
) -> dict[str, Interval]:
    """Intervals of several quantities on the same rows and the same resamples.

    cluster: int64 [n], shopper codes from 0. A quantity whose denominator is zero, or whose resamples hardly ever vary,
    has no interval and is left out of the answer.
    """
    defined = {name: it for name, it in quantities.items() if all(bottom.sum() != 0 for _, _, bottom in it.terms)}
    if not defined:
        return {}
    bags = _bags(cluster, seed, most_bags)
    counts = _resampling_counts(int(bags.max()) + 1, replicates, seed)
    intervals = zip(defined, _studentised(list(defined.values()), bags, counts, level), strict=True)
    return {name: interval for name, interval in intervals if interval is not None}


def relative(
    target: Ratios, baseline: Ratios, cluster: np.ndarray, replicates: int, seed: int, level: float = 0.95
) -> Interval | None:
    """target / baseline - 1, with the interval of its linearisation (target - ratio * baseline) / baseline.

    None where the baseline's own interval reaches 0, for then the ratio has no bounded interval.
    """
    bags = _bags(cluster, seed)
    counts = _resampling_counts(int(bags.max()) + 1, replicates, seed)
    denominator = _studentised([baseline], bags, counts, level)[0]
    if denominator is None or denominator.ci_low <= 0:
        return None
    ratio = target.value() / baseline.value()
    scaled = Ratios(tuple((ratio * sign, top, bottom) for sign, top, bottom in baseline.terms))
    gap = _studentised([difference(target, scaled)], bags, counts, level)[0]
    if gap is None:
        return None
    return Interval(ratio - 1, ratio - 1 + gap.ci_low / baseline.value(), ratio - 1 + gap.ci_high / baseline.value())


def standard_error(quantity: Ratios, cluster: np.ndarray) -> float:
    """Of the quantity's linearisation, between shoppers."""
    linear = np.zeros(len(cluster))
    for sign, top, bottom in quantity.terms:
        total = bottom.sum()
        linear += sign * (top - top.sum() / total * bottom) / total
    return float(np.sqrt((np.bincount(cluster, linear) ** 2).sum()))


def _bags(cluster: np.ndarray, seed: int, most: int = MAX_BAGS) -> np.ndarray:
    """Bag of each row: its shopper, or a random pool of shoppers where there are very many; int64 [n]."""
    shoppers = int(cluster.max()) + 1
    if shoppers <= most:
        return cluster
    pooled = np.random.default_rng(seed).permutation(shoppers) % most
    return pooled[cluster]


@lru_cache(maxsize=2)  # one evaluation asks for the same resamples again and again
def _resampling_counts(bags: int, replicates: int, seed: int) -> np.ndarray:
    """How often each replicate draws each bag, with replacement: float64 [replicates, bags]."""
    generator = np.random.default_rng([seed, 1])
    counts = np.empty((replicates, bags))
    for replicate in range(replicates):
        counts[replicate] = np.bincount(generator.integers(0, bags, bags), minlength=bags)
    return counts


def _studentised(
    quantities: Sequence[Ratios], bags: np.ndarray, counts: np.ndarray, level: float
) -> list[Interval | None]:
    """The bootstrap-t interval of each quantity: one product of `counts` with all that any of them needs."""
    parts = [_sums_and_products(it, bags, counts.shape[1]) for it in quantities]
    together = np.column_stack(parts)
    sums = np.vstack([together.sum(axis=0), counts @ together])  # [1 + replicates, ...], the log itself first
    edges = np.cumsum([part.shape[1] for part in parts])[:-1]
    return [_interval(it, own, level) for it, own in zip(quantities, np.split(sums, edges, axis=1), strict=True)]


def _sums_and_products(quantity: Ratios, bags: np.ndarray, size: int) -> np.ndarray:
    """Per bag, the sums of all numerators and denominators, and the products of any two: float64 [size, ...]."""
    columns = np.column_stack([np.bincount(bags, part, size) for _, *parts in quantity.terms for part in parts])
    left, right = np.triu_indices(columns.shape[1])
    return np.column_stack([columns, columns[:, left] * columns[:, right]])


def _interval(quantity: Ratios, totals: np.ndarray, level: float) -> Interval | None:
    """The interval of one quantity from the totals [1 + replicates, ...] of its sums and products.

    The standard error of a replicate is that of its linearisation, sum_k sign_k (top_k - ratio_k bottom_k) / bottom_k,
    a quadratic form in the replicate's sums of products, so no inner bootstrap is needed.
    """
    signs = np.array([sign for sign, _, _ in quantity.terms])
    sums, moments = np.split(totals, [2 * len(signs)], axis=1)
    left, right = np.triu_indices(2 * len(signs))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[:, 0::2] / sums[:, 1::2]
        gradient = np.empty_like(sums)
        gradient[:, 0::2] = signs / sums[:, 1::2]
        gradient[:, 1::2] = -signs * ratios / sums[:, 1::2]
        doubled = np.where(left == right, 1.0, 2.0)
        error = np.sqrt(np.maximum((gradient[:, left] * gradient[:, right] * moments) @ doubled, 0.0))
        values = ratios @ signs
        studentised = (values[1:] - values[0]) / error[1:]
    usable = studentised[np.isfinite(studentised)]
    if len(usable) < 0.5 * len(studentised) or error[0] == 0.0:
        return None
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), float(values[0] - high * error[0]), float(values[0] - low * error[0]))
