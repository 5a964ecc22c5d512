"""Shrunken averages of the attributes of products that a shopper interacted with, stable after few events.

Buehlmann's credibility (1967), which for 0/1 vectors equals the posterior mean under a Dirichlet prior:

    average = (sum of vectors + kappa * prior) / (events + kappa),   kappa = variance within / variance between shoppers

A category has typical brands, prices and looks. So these attributes are averaged as differences from the mean over all
shoppers' events in the same category (`centres`): the average shows preferences within categories, not which categories
a shopper browses.
"""

from dataclasses import dataclass

import numpy as np

MAX_KAPPA = 1e4  # if shoppers do not differ, kappa is infinite and everyone gets the prior


@dataclass(frozen=True)
class ShrunkenAverage:
    """The parameters of one attribute's average. prior: float64 [k], the mean over all events; kappa: its weight.

    centres: float64 [groups, k], subtracted from the vectors of each group before averaging.
    """

    columns: tuple[str, ...]
    prior: np.ndarray
    kappa: float
    centres: np.ndarray

    @property
    def name(self) -> str:
        """The attribute, such as `category`."""
        return self.columns[0].partition(":")[0] if self.columns else ""

    @property
    def is_share(self) -> bool:
        """Whether an average has shares in [0, 1] that sum to at most 1, and not differences from a category's mean."""
        return not self.centres.any() and bool((self.prior >= 0).all()) and self.prior.sum() <= 1 + 1e-6

    @classmethod
    def fit(cls, columns: tuple[str, ...], vectors: np.ndarray, shopper: np.ndarray) -> "ShrunkenAverage":
        """The average with prior and kappa by the method of moments, from vectors float64 [m, k] of shoppers [m]."""
        return cls.of(columns, EventVectors(vectors, np.arange(len(vectors)), shopper, None))

    @classmethod
    def of(cls, columns: tuple[str, ...], touched: "EventVectors") -> "ShrunkenAverage":
        """As `fit`, for distinct vectors; with groups, for their differences from the mean of their group.

        The mean inner product of two events of one shopper exceeds that of any two events by the variance between
        shoppers: between = E[x.y | same shopper] - |prior|^2, within = E|x|^2 - E[x.y | same shopper].
        """
        often = np.bincount(touched.row, minlength=len(touched.table)).astype(np.float64)  # [r]
        centres = np.zeros((1, len(columns))) if touched.group is None else _centres(touched, often)
        if not len(touched.row):
            return cls(columns, np.zeros(len(columns)), MAX_KAPPA, centres)
        table = centred(touched.table, touched.group, centres)
        prior = often @ table / len(touched.row)
        touches = np.bincount(touched.shopper).astype(np.float64)
        sums = _sums_by(touched.shopper, touched.row, table)
        squares = float(often @ (table**2).sum(axis=1))
        pairs = float((touches * (touches - 1)).sum())
        agreement = (float((sums**2).sum()) - squares) / max(pairs, 1.0)
        between, within = agreement - float(prior @ prior), squares / len(touched.row) - agreement
        kappa = within / between if pairs and between > within / MAX_KAPPA else MAX_KAPPA
        return cls(columns, np.round(prior, 9), float(np.clip(round(kappa, 6), 0.1, MAX_KAPPA)), centres)

    def average(self, sums: np.ndarray, touches: np.ndarray) -> np.ndarray:
        """The shrunken averages float64 [n, k] of `touches` [n] events with sums float64 [n, k]."""
        return (sums + self.kappa * self.prior) / (touches[:, None] + self.kappa)


@dataclass(frozen=True)
class EventVectors:
    """The vectors of m events: rows `row` int [m] of `table` float64 [r, k], of shoppers with codes int [m].

    group: int [r], the group of each row of the table; None: no differences are taken.
    """

    table: np.ndarray
    row: np.ndarray
    shopper: np.ndarray
    group: np.ndarray | None


def centred(table: np.ndarray, group: np.ndarray | None, centres: np.ndarray) -> np.ndarray:
    """`table` float64 [r, k] minus the centre of each row's group; the table itself without groups."""
    return table if group is None else table - centres[group]


def _centres(touched: EventVectors, often: np.ndarray) -> np.ndarray:
    """Mean vector of each group's events, float64 [groups, k]; 0 for a group without events."""
    groups = int(touched.group.max(initial=-1)) + 1
    weight = np.bincount(touched.group, often, groups)
    sums = np.stack([np.bincount(touched.group, often * column, groups) for column in touched.table.T], axis=1)
    return np.round(np.divide(sums, weight[:, None], out=np.zeros_like(sums), where=weight[:, None] > 0), 9)


def _sums_by(shopper: np.ndarray, row: np.ndarray, table: np.ndarray) -> np.ndarray:
    """float64 [shoppers, k], the sum of each shopper's vectors: rows `row` [m] of table float64 [r, k]."""
    from scipy.sparse import csr_array

    shape = int(shopper.max()) + 1, len(table)
    return csr_array((np.ones(len(shopper)), (shopper, row)), shape=shape) @ table
