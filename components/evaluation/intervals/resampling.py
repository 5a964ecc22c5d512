"""Estimates -> 95 % intervals by a studentised bootstrap over shoppers.

Every quantity here is a smooth function of a few sums over shoppers: values are (sum a / sum b) terms. So one matrix of
per-shopper sums serves all estimators, and one product of resampling counts with it serves all replicates; where there
are many of either, they are taken in blocks, so that memory grows with neither. The
studentised (bootstrap-t) interval is second-order accurate under the skew that large weights bring (Hall 1988).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from components.evaluation.estimators.estimators import Contributions

MAX_BAGS = 4096  # more shoppers than this are pooled at random: sums keep their mean, variance and skewness per row
BLOCK = 2048  # replicates, and columns of sums, that are held at a time: 64 MB of counts, 32 MB of their product


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


@dataclass(frozen=True)
class _BagSums:
    """What the bootstrap needs of one quantity: per bag, the sums of its numerators and denominators in turn, and the
    products of any two of them."""

    signs: np.ndarray  # float64 [k], of each ratio
    columns: np.ndarray  # float64 [bags, 2 k + k (2 k + 1)]

    @classmethod
    def of(cls, quantity: Ratios, bags: np.ndarray, size: int) -> "_BagSums":
        """The sums of `quantity`, whose rows belong to `bags` int64 [n] of `size`."""
        signs = np.array([sign for sign, _, _ in quantity.terms])
        sums = np.column_stack([np.bincount(bags, part, size) for _, *parts in quantity.terms for part in parts])
        left, right = np.triu_indices(sums.shape[1])
        return cls(signs, np.column_stack([sums, sums[:, left] * sums[:, right]]))


def bootstrap(
    quantities: Mapping[str, Ratios] | Iterable[tuple[str, Ratios]],
    cluster: np.ndarray,
    replicates: int,
    seed: int,
    level: float = 0.95,
    most_bags: int = MAX_BAGS,
) -> dict[str, Interval]:
    """Intervals of several quantities on the same rows and the same resamples.

    quantities: by name, or pairs of a name and a quantity; of pairs that are made one at a time, one is in memory.
    cluster: int64 [n], shopper codes from 0. A quantity whose denominator is zero, or whose resamples hardly ever vary,
    has no interval and is left out of the answer.
    """
    bags = _bags(cluster, seed, most_bags)
    size = int(bags.max()) + 1
    pairs = quantities.items() if isinstance(quantities, Mapping) else quantities
    defined = {
        name: _BagSums.of(it, bags, size) for name, it in pairs if all(bottom.sum() != 0 for _, _, bottom in it.terms)
    }
    if not defined:
        return {}
    intervals = zip(defined, _studentised(list(defined.values()), size, replicates, seed, level), strict=True)
    return {name: interval for name, interval in intervals if interval is not None}


def relative(
    target: Ratios, baseline: Ratios, cluster: np.ndarray, replicates: int, seed: int, level: float = 0.95
) -> Interval | None:
    """target / baseline - 1, with the interval of its linearisation (target - ratio * baseline) / baseline.

    None where the baseline's own interval reaches 0, for then the ratio has no bounded interval.
    """
    bags = _bags(cluster, seed)
    size = int(bags.max()) + 1
    (denominator,) = _studentised([_BagSums.of(baseline, bags, size)], size, replicates, seed, level)
    if denominator is None or denominator.ci_low <= 0:
        return None
    ratio = target.value() / baseline.value()
    scaled = Ratios(tuple((ratio * sign, top, bottom) for sign, top, bottom in baseline.terms))
    apart = _BagSums.of(difference(target, scaled), bags, size)
    (gap,) = _studentised([apart], size, replicates, seed, level)
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


def _resamples(bags: int, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """How often each replicate draws each bag: float64 [replicates, bags] in all, a block of replicates at a time."""
    if replicates <= BLOCK:
        yield _one_block(bags, replicates, seed)
        return
    generator = np.random.default_rng([seed, 1])
    for done in range(0, replicates, BLOCK):
        yield _counts(bags, min(BLOCK, replicates - done), generator)


@lru_cache(maxsize=2)  # one evaluation asks for the same resamples again and again
def _one_block(bags: int, replicates: int, seed: int) -> np.ndarray:
    return _counts(bags, replicates, np.random.default_rng([seed, 1]))


def _counts(bags: int, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of the next replicates draws each bag, with replacement: float64 [replicates, bags]."""
    counts = np.empty((replicates, bags))
    for replicate in range(replicates):
        counts[replicate] = np.bincount(generator.integers(0, bags, bags), minlength=bags)
    return counts


def _studentised(
    quantities: Sequence[_BagSums], bags: int, replicates: int, seed: int, level: float
) -> list[Interval | None]:
    """The bootstrap-t interval of each quantity: a product of counts with the sums that each group of them needs."""
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in quantities]
    for counts in _resamples(bags, replicates, seed):
        for group in _groups(quantities):
            together = np.column_stack([quantities[place].columns for place in group])
            edges = np.cumsum([quantities[place].columns.shape[1] for place in group])[:-1]
            sums = counts @ together
            if not found[group[0]]:
                sums = np.vstack([together.sum(axis=0), sums])  # the log itself first
            for place, own in zip(group, np.split(sums, edges, axis=1), strict=True):
                found[place].append(_values_and_errors(quantities[place].signs, own))
    return [_interval(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)), level) for blocks in found]


def _groups(quantities: Sequence[_BagSums]) -> Iterator[list[int]]:
    """Places of consecutive quantities that have at most BLOCK columns together, or of a single one that has more."""
    group, width = [], 0
    for place, quantity in enumerate(quantities):
        if group and width + quantity.columns.shape[1] > BLOCK:
            yield group
            group, width = [], 0
        group.append(place)
        width += quantity.columns.shape[1]
    yield group


def _values_and_errors(signs: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Totals [r, ...] of a quantity's sums and products -> its value and standard error in each row: float64 [r] each.

    The standard error is that of the linearisation, sum_k sign_k (top_k - ratio_k bottom_k) / bottom_k, a quadratic
    form in the sums of products, so no inner bootstrap is needed.
    """
    sums, moments = np.split(totals, [2 * len(signs)], axis=1)
    left, right = np.triu_indices(2 * len(signs))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[:, 0::2] / sums[:, 1::2]
        gradient = np.empty_like(sums)
        gradient[:, 0::2] = signs / sums[:, 1::2]
        gradient[:, 1::2] = -signs * ratios / sums[:, 1::2]
        doubled = np.where(left == right, 1.0, 2.0)
        error = np.sqrt(np.maximum((gradient[:, left] * gradient[:, right] * moments) @ doubled, 0.0))
        return ratios @ signs, error


def _interval(values: np.ndarray, error: np.ndarray, level: float) -> Interval | None:
    """The interval of one quantity from its values and standard errors [1 + replicates], those of the log first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = (values[1:] - values[0]) / error[1:]
    usable = studentised[np.isfinite(studentised)]
    if len(usable) < 0.5 * len(studentised) or error[0] == 0.0:
        return None
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), float(values[0] - high * error[0]), float(values[0] - low * error[0]))
