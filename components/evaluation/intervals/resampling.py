"""Intervals of estimates by a studentised bootstrap over shoppers.

Every quantity is a sum of ratios (sum a / sum b) of sums over shoppers. So one matrix of per-shopper sums serves all
estimators, and one product of resampling counts with it serves all replicates; both are taken in blocks, which bounds
the memory. The studentised (bootstrap-t) interval is second-order accurate under the skew of large weights (Hall 1988).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from components.evaluation.estimators.estimators import Contributions

MAX_BAGS = 4096  # more shoppers are pooled at random, which preserves the mean, variance and skewness of sums per row
BLOCK = 2048  # replicates, and columns of sums, in memory at a time: 64 MB of counts, 32 MB of their product


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, all finite."""

    value: float
    ci_low: float
    ci_high: float

    def to_dict(self) -> dict[str, float]:
        """The interval as JSON values."""
        return {"value": self.value, "ci_low": self.ci_low, "ci_high": self.ci_high}


@dataclass(frozen=True)
class Ratios:
    """The quantity sum_k sign_k sum(numerator_k) / sum(denominator_k); each of them is float64 [n]."""

    terms: tuple[tuple[float, np.ndarray, np.ndarray], ...]

    def value(self) -> float:
        """The quantity on the whole log."""
        return float(sum(sign * numerator.sum() / denominator.sum() for sign, numerator, denominator in self.terms))


def value_of(contributions: Contributions) -> Ratios:
    """The estimate with these contributions, in as few ratios as possible."""
    ones = np.ones_like(contributions.direct)
    if np.array_equal(contributions.mass, ones):
        return Ratios(((1.0, contributions.direct + contributions.residual, ones),))
    weighted = (1.0, contributions.residual, contributions.mass)
    return Ratios(((1.0, contributions.direct, ones), weighted) if contributions.direct.any() else (weighted,))


def difference(left: Ratios, right: Ratios) -> Ratios:
    """left - right, on the same rows."""
    negated = tuple((-sign, numerator, denominator) for sign, numerator, denominator in right.terms)
    return Ratios(left.terms + negated)


@dataclass(frozen=True)
class _BagSums:
    """One quantity's sums per bag: of its numerators and denominators in turn, and the products of any two of them."""

    signs: np.ndarray  # float64 [k], of each ratio
    columns: np.ndarray  # float64 [bags, 2 k + k (2 k + 1)]

    @classmethod
    def of(cls, quantity: Ratios, bags: np.ndarray, size: int) -> "_BagSums":
        """The sums of `quantity` over `size` bags; bags: int64 [n], each row's bag."""
        signs = np.array([sign for sign, _, _ in quantity.terms])
        sums = np.column_stack([np.bincount(bags, values, size) for _, *ratio in quantity.terms for values in ratio])
        left, right = np.triu_indices(sums.shape[1])
        return cls(signs, np.column_stack([sums, sums[:, left] * sums[:, right]]))


def bootstrap(
    quantities: Mapping[str, Ratios] | Iterable[tuple[str, Ratios]],
    cluster: np.ndarray,
    replicates: int,
    seed: int,
    *,
    level: float = 0.95,
    max_bags: int = MAX_BAGS,
) -> dict[str, Interval]:
    """The intervals of several quantities on the same rows and the same resamples, by name.

    quantities: by name, or an iterable of (name, quantity), of which one is in memory at a time. cluster: int64 [n],
    shopper codes from 0. A quantity is left out if its denominator is zero or it hardly varies between resamples.
    """
    bags = _bags(cluster, seed, max_bags)
    size = int(bags.max()) + 1
    pairs = quantities.items() if isinstance(quantities, Mapping) else quantities
    defined = {
        name: _BagSums.of(quantity, bags, size)
        for name, quantity in pairs
        if all(denominator.sum() != 0 for _, _, denominator in quantity.terms)
    }
    if not defined:
        return {}
    intervals = zip(defined, _studentised(list(defined.values()), size, replicates, seed, level), strict=True)
    return {name: interval for name, interval in intervals if interval is not None}


def relative(
    target: Ratios, baseline: Ratios, cluster: np.ndarray, replicates: int, seed: int, *, level: float = 0.95
) -> Interval | None:
    """target / baseline - 1, with the interval of its linearisation (target - ratio * baseline) / baseline.

    None if the baseline's interval contains 0, because then the ratio has no bounded interval.
    """
    bags = _bags(cluster, seed)
    size = int(bags.max()) + 1
    (denominator,) = _studentised([_BagSums.of(baseline, bags, size)], size, replicates, seed, level)
    if denominator is None or denominator.ci_low <= 0:
        return None
    ratio = target.value() / baseline.value()
    scaled = Ratios(tuple((ratio * sign, numerator, denominator) for sign, numerator, denominator in baseline.terms))
    sums = _BagSums.of(difference(target, scaled), bags, size)
    (gap,) = _studentised([sums], size, replicates, seed, level)
    if gap is None:
        return None
    return Interval(ratio - 1, ratio - 1 + gap.ci_low / baseline.value(), ratio - 1 + gap.ci_high / baseline.value())


def standard_error(quantity: Ratios, cluster: np.ndarray) -> float:
    """The standard error of the quantity's linearisation, between shoppers."""
    linear = np.zeros(len(cluster))
    for sign, numerator, denominator in quantity.terms:
        total = denominator.sum()
        linear += sign * (numerator - numerator.sum() / total * denominator) / total
    return float(np.sqrt((np.bincount(cluster, linear) ** 2).sum()))


def _bags(cluster: np.ndarray, seed: int, max_bags: int = MAX_BAGS) -> np.ndarray:
    """The bag of each row: its shopper, or a random pool of shoppers if there are more than `max_bags`; int64 [n]."""
    shoppers = int(cluster.max()) + 1
    if shoppers <= max_bags:
        return cluster
    pooled = np.random.default_rng(seed).permutation(shoppers) % max_bags
    return pooled[cluster]


def _resamples(bags: int, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """The number of times each replicate draws each bag, float64 [replicates, bags], in blocks of replicates."""
    if replicates <= BLOCK:
        yield _one_block(bags, replicates, seed)
        return
    generator = np.random.default_rng([seed, 1])
    for start in range(0, replicates, BLOCK):
        yield _counts(bags, min(BLOCK, replicates - start), generator)


@lru_cache(maxsize=2)  # one evaluation uses the same resamples many times
def _one_block(bags: int, replicates: int, seed: int) -> np.ndarray:
    return _counts(bags, replicates, np.random.default_rng([seed, 1]))


def _counts(bags: int, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """The number of times each of the next replicates draws each bag, with replacement: float64 [replicates, bags]."""
    counts = np.empty((replicates, bags))
    for replicate in range(replicates):
        counts[replicate] = np.bincount(generator.integers(0, bags, bags), minlength=bags)
    return counts


def _studentised(
    quantities: Sequence[_BagSums], bags: int, replicates: int, seed: int, level: float
) -> list[Interval | None]:
    """The bootstrap-t interval of each quantity, from products of the resampling counts with its sums per bag."""
    blocks: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in quantities]
    for counts in _resamples(bags, replicates, seed):
        for group in _groups(quantities):
            columns = np.column_stack([quantities[index].columns for index in group])
            edges = np.cumsum([quantities[index].columns.shape[1] for index in group])[:-1]
            sums = counts @ columns
            if not blocks[group[0]]:
                sums = np.vstack([columns.sum(axis=0), sums])  # the log itself first
            for index, totals in zip(group, np.split(sums, edges, axis=1), strict=True):
                blocks[index].append(_values_and_errors(quantities[index].signs, totals))
    return [
        _interval(
            np.concatenate([values for values, _ in block]), np.concatenate([errors for _, errors in block]), level
        )
        for block in blocks
    ]


def _groups(quantities: Sequence[_BagSums]) -> Iterator[list[int]]:
    """Indices of consecutive quantities with at most BLOCK columns together, or of one that has more."""
    group, width = [], 0
    for index, quantity in enumerate(quantities):
        if group and width + quantity.columns.shape[1] > BLOCK:
            yield group
            group, width = [], 0
        group.append(index)
        width += quantity.columns.shape[1]
    yield group


def _values_and_errors(signs: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value and standard error of a quantity in each of r resamples, from its totals [r, ...]: float64 [r] each.

    The standard error is that of the linearisation, sum_k sign_k (numerator_k - ratio_k denominator_k) / denominator_k.
    It is a quadratic form in the sums of products, so no inner bootstrap is needed. Even columns of the sums are
    numerators, odd ones denominators.
    """
    sums, products = np.split(totals, [2 * len(signs)], axis=1)
    left, right = np.triu_indices(2 * len(signs))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[:, 0::2] / sums[:, 1::2]
        gradient = np.empty_like(sums)
        gradient[:, 0::2] = signs / sums[:, 1::2]
        gradient[:, 1::2] = -signs * ratios / sums[:, 1::2]
        doubled = np.where(left == right, 1.0, 2.0)
        error = np.sqrt(np.maximum((gradient[:, left] * gradient[:, right] * products) @ doubled, 0.0))
        return ratios @ signs, error


def _interval(values: np.ndarray, error: np.ndarray, level: float) -> Interval | None:
    """The interval of one quantity from its values and standard errors [1 + replicates], the log's own first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = (values[1:] - values[0]) / error[1:]
    usable = studentised[np.isfinite(studentised)]
    if len(usable) < 0.5 * len(studentised) or error[0] == 0.0:
        return None
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), float(values[0] - high * error[0]), float(values[0] - low * error[0]))
