"""How much shoppers differ from each other, beyond what chance makes of their few events: moments of grouped data."""

from dataclasses import dataclass

import numpy as np

MAX_SHOPPERS = 20_000  # for fitting; more shoppers make the moments better by less than 1 %


@dataclass(frozen=True)
class ShopperEvents:
    """m events with vectors: rows `row` int [m] of `table` float64 [r, k], whose groups are `group` int [r] < groups.

    shopper, day: integers [m], of each event.
    """

    table: np.ndarray
    row: np.ndarray
    group: np.ndarray
    groups: int
    shopper: np.ndarray
    day: np.ndarray


@dataclass(frozen=True)
class Variation:
    """Covariances float64 [k, k] of the vectors of events.

    between: of shoppers' expected vectors; within: of one event of a shopper; noise: n times the covariance of the mean
    of a shopper's n events around the expected vector, larger than `within` if events of one day resemble each other.
    """

    between: np.ndarray
    within: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, events: ShopperEvents, table: np.ndarray) -> "Variation":
        """From events, with `table` float64 [r, k] in place of their own.

        The mean product x y' of two events of one shopper on different days exceeds that of any two events by the
        covariance between shoppers. Events of one day may be of one visit, so they are no evidence of a lasting taste;
        if no shopper has two days, every event counts as a visit.
        """
        row, shopper, visit = _sampled(events)
        size = table.shape[1]
        if not len(row):
            return cls(*(np.zeros((size, size)) for _ in range(3)))
        often = np.bincount(row, minlength=len(table)).astype(np.float64)
        mean = often @ table / len(row)
        square = (table * often[:, None]).T @ table / len(row)
        products, pairs = _products_within(shopper, row, table)
        by_visit, pairs_by_visit = _products_within(visit, row, table)
        between = (products - by_visit) / max(pairs - pairs_by_visit, 1.0) - np.outer(mean, mean)
        within = square - between - np.outer(mean, mean)
        noise = by_visit / len(row) - pairs_by_visit / len(row) * (between + np.outer(mean, mean))
        return cls(between, within, noise)


def group_means(events: ShopperEvents) -> np.ndarray:
    """Mean vector of each group's events, float64 [groups, k], with one event more: the mean of all events."""
    often = np.bincount(events.row, minlength=len(events.table)).astype(np.float64)  # [r]
    weight = np.bincount(events.group, often, events.groups)
    sums = np.stack([np.bincount(events.group, often * column, events.groups) for column in events.table.T], axis=1)
    overall = sums.sum(axis=0) / max(weight.sum(), 1.0)
    return (sums + overall) / (weight[:, None] + 1.0)


def _sampled(events: ShopperEvents) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, shopper and visit (a shopper's day) of the events of at most MAX_SHOPPERS shoppers, integers each."""
    row, shopper, day = events.row, events.shopper, events.day
    step = int(shopper.max(initial=0)) // MAX_SHOPPERS + 1
    if step > 1:
        chosen = shopper % step == 0
        row, shopper, day = row[chosen], shopper[chosen], day[chosen]
    start = int(day.min(initial=0))
    _, visit = np.unique(
        shopper.astype(np.int64) * (int(day.max(initial=0)) - start + 1) + (day - start), return_inverse=True
    )
    if len(row) and visit.max() + 1 == len(np.unique(shopper)):
        visit = np.arange(len(row))
    return row, shopper, visit


def _products_within(owner: np.ndarray, row: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, float]:
    """The sum of x y' over all ordered pairs of events with one owner (x may be y), and the number of such pairs.

    owner: int [m], not negative; row: int [m], rows of table float64 [r, k].
    """
    from scipy.sparse import csr_array

    counts = csr_array((np.ones(len(row)), (owner, row)), shape=(int(owner.max()) + 1, len(table)))
    sums = counts @ table
    return sums.T @ sums, float((np.bincount(owner).astype(np.float64) ** 2).sum())
