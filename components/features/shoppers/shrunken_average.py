"""What a shopper has touched -> an average that a few touches cannot swing.

Buehlmann's credibility (1967), the same thing as the posterior mean under a Dirichlet prior where the vectors are 0/1:

    taste = (sum of vectors + kappa * prior) / (touches + kappa),   kappa = variance within / variance between shoppers

What a shopper looks at is first of all a category, and a category has its own brands, prices and looks. So these traits
are read as differences from the mean of what all shoppers touch in the same category (`centres`): an average of them
says what a shopper prefers within categories, and does not say again which categories they browse.
"""

from dataclasses import dataclass

import numpy as np

MOST_KAPPA = 1e4  # where shoppers do not differ at all, kappa is infinite: everyone gets the prior


@dataclass(frozen=True)
class Taste:
    """One trait's average over shoppers. prior: float64 [k], everybody's; kappa: touches that the prior is worth.

    centres: float64 [groups, k], what is subtracted from a touched vector of each group before it is averaged.
    """

    columns: tuple[str, ...]
    prior: np.ndarray
    kappa: float
    centres: np.ndarray

    @property
    def name(self) -> str:
        """The trait that it is about, such as `category`."""
        return self.columns[0].partition(":")[0] if self.columns else ""

    @property
    def is_share(self) -> bool:
        """Whether an average holds shares in [0, 1] that sum to 1 at most, not differences from a category's mean."""
        return not self.centres.any() and bool((self.prior >= 0).all()) and self.prior.sum() <= 1 + 1e-6

    @classmethod
    def fit(cls, columns: tuple[str, ...], vectors: np.ndarray, shopper: np.ndarray) -> "Taste":
        """vectors float64 [m, k] touched by shopper codes int64 [m] -> taste with prior and kappa by moments."""
        return cls.of(columns, Touched(vectors, np.arange(len(vectors)), shopper, None))

    @classmethod
    def of(cls, columns: tuple[str, ...], touched: "Touched") -> "Taste":
        """`fit` of touched vectors; with groups, of their differences from the mean of their group.

        Two touches of one shopper agree (inner product) beyond what two touches of anybody do by as much as shoppers
        differ: between = E[x.y | same shopper] - |prior|^2, within = E|x|^2 - E[x.y | same shopper].
        """
        often = np.bincount(touched.row, minlength=len(touched.table)).astype(np.float64)  # [r]
        centres = np.zeros((1, len(columns))) if touched.group is None else _centres(touched, often)
        if not len(touched.row):
            return cls(columns, np.zeros(len(columns)), MOST_KAPPA, centres)
        table = centred(touched.table, touched.group, centres)
        prior = often @ table / len(touched.row)
        touches = np.bincount(touched.shopper).astype(np.float64)
        sums = _sums_by(touched.shopper, touched.row, table)
        squares = float(often @ (table**2).sum(axis=1))
        pairs = float((touches * (touches - 1)).sum())
        agreement = (float((sums**2).sum()) - squares) / max(pairs, 1.0)
        between, within = agreement - float(prior @ prior), squares / len(touched.row) - agreement
        kappa = within / between if pairs and between > within / MOST_KAPPA else MOST_KAPPA
        return cls(columns, np.round(prior, 9), float(np.clip(round(kappa, 6), 0.1, MOST_KAPPA)), centres)

    def average(self, sums: np.ndarray, touches: np.ndarray) -> np.ndarray:
        """sums float64 [n, k] over `touches` [n] events -> float64 [n, k], the shrunken average."""
        return (sums + self.kappa * self.prior) / (touches[:, None] + self.kappa)


@dataclass(frozen=True)
class Touched:
    """Vectors that shoppers touched: rows `row` int [m] of `table` float64 [r, k], by shopper codes int [m].

    group: int [r], the group of each row of the table; None: the trait is read as it is.
    """

    table: np.ndarray
    row: np.ndarray
    shopper: np.ndarray
    group: np.ndarray | None


def centred(table: np.ndarray, group: np.ndarray | None, centres: np.ndarray) -> np.ndarray:
    """table float64 [r, k] minus the centre of each row's group; the table itself without groups."""
    return table if group is None else table - centres[group]


def _centres(touched: Touched, often: np.ndarray) -> np.ndarray:
    """Mean vector of each group's touches, float64 [groups, k]; 0 for a group that nobody touched."""
    groups = int(touched.group.max(initial=-1)) + 1
    weight = np.bincount(touched.group, often, groups)
    sums = np.stack([np.bincount(touched.group, often * column, groups) for column in touched.table.T], axis=1)
    return np.round(np.divide(sums, weight[:, None], out=np.zeros_like(sums), where=weight[:, None] > 0), 9)


def _sums_by(shopper: np.ndarray, row: np.ndarray, table: np.ndarray) -> np.ndarray:
    """codes int64 [m], rows [m] of table float64 [r, k] -> float64 [shoppers, k], sums of each shopper's rows."""
    from scipy.sparse import csr_array

    shape = int(shopper.max()) + 1, len(table)
    return csr_array((np.ones(len(shopper)), (shopper, row)), shape=shape) @ table
