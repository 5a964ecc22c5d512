"""What a shopper has touched -> an average that a few touches cannot swing.

Buehlmann's credibility (1967), the same thing as the posterior mean under a Dirichlet prior where the vectors are 0/1:

    taste = (sum of vectors + kappa * prior) / (touches + kappa),   kappa = variance within / variance between shoppers
"""

from dataclasses import dataclass

import numpy as np

MOST_KAPPA = 1e4  # where shoppers do not differ at all, kappa is infinite: everyone gets the prior


@dataclass(frozen=True)
class Taste:
    """One trait's average over shoppers. prior: float64 [k], everybody's; kappa: touches that the prior is worth."""

    columns: tuple[str, ...]
    prior: np.ndarray
    kappa: float

    @classmethod
    def fit(cls, columns: tuple[str, ...], vectors: np.ndarray, shopper: np.ndarray) -> "Taste":
        """vectors float64 [m, k] touched by shopper codes int64 [m] -> taste with prior and kappa by moments."""
        return cls.of(columns, vectors, np.arange(len(vectors)), shopper)

    @classmethod
    def of(cls, columns: tuple[str, ...], table: np.ndarray, row: np.ndarray, shopper: np.ndarray) -> "Taste":
        """`fit` of the vectors table[row]: table float64 [r, k], of which rows int [m] were touched by shoppers [m].

        Two touches of one shopper agree (inner product) beyond what two touches of anybody do by as much as shoppers
        differ: between = E[x.y | same shopper] - |prior|^2, within = E|x|^2 - E[x.y | same shopper].
        """
        if not len(row):
            return cls(columns, np.zeros(len(columns)), MOST_KAPPA)
        often = np.bincount(row, minlength=len(table)).astype(np.float64)  # [r]
        prior = often @ table / len(row)
        touches = np.bincount(shopper).astype(np.float64)
        sums = _sums_by(shopper, row, table)
        squares = float(often @ (table**2).sum(axis=1))
        pairs = float((touches * (touches - 1)).sum())
        agreement = (float((sums**2).sum()) - squares) / max(pairs, 1.0)
        between, within = agreement - float(prior @ prior), squares / len(row) - agreement
        kappa = within / between if pairs and between > within / MOST_KAPPA else MOST_KAPPA
        return cls(columns, np.round(prior, 9), float(np.clip(round(kappa, 6), 0.1, MOST_KAPPA)))

    def average(self, sums: np.ndarray, touches: np.ndarray) -> np.ndarray:
        """sums float64 [n, k] over `touches` [n] events -> float64 [n, k], the shrunken average."""
        return (sums + self.kappa * self.prior) / (touches[:, None] + self.kappa)


def _sums_by(shopper: np.ndarray, row: np.ndarray, table: np.ndarray) -> np.ndarray:
    """codes int64 [m], rows [m] of table float64 [r, k] -> float64 [shoppers, k], sums of each shopper's rows."""
    from scipy.sparse import csr_array

    shape = int(shopper.max()) + 1, len(table)
    return csr_array((np.ones(len(shopper)), (shopper, row)), shape=shape) @ table
