"""Tastes as packages of release 0.1 estimate them: shrunken averages of attributes. New models use tastes.py.

    average = (sum of vectors + kappa * prior) / (events + kappa)        credibility, Buehlmann 1967

Vectors of a group (a category) are averaged as differences from the group's mean (`centres`).
"""

from dataclasses import dataclass

import numpy as np

from components.features.shoppers.attribute import Attribute
from components.features.timeline import Rows


@dataclass(frozen=True)
class ShrunkenAverage(Attribute):
    """prior: float64 [k], the mean over all events; kappa: its weight; centres: float64 [groups, k], or [1, k] of zeros
    without groups."""

    columns: tuple[str, ...]
    prior: np.ndarray
    kappa: float
    centres: np.ndarray

    @property
    def is_share(self) -> bool:
        """Whether an average has shares in [0, 1] that sum to at most 1, and not differences from a group's mean."""
        return not self.centres.any() and bool((self.prior >= 0).all()) and self.prior.sum() <= 1 + 1e-6

    def estimate(self, rows: Rows, table: np.ndarray, row: np.ndarray, group: np.ndarray) -> np.ndarray:
        """float64 [n, k] for ranges of events [n] in a sequence of m events: rows `row` [m] of table [r, k], in groups
        `group` [r]."""
        centred = table
        if self.centres.any():  # release 0.1 knew the groups of its training rows alone
            centred = table - np.vstack([self.centres, self.centres.mean(axis=0)])[np.minimum(group, len(self.centres))]
        return (rows.sums_of(centred, row) + self.kappa * self.prior) / (rows.count[:, None] + self.kappa)
