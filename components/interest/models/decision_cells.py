"""Pairs grouped by decision and creative: what differs between the creatives of a decision."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.interest.models.feature_blocks import ONE


@dataclass(frozen=True)
class DecisionCells:
    """The distinct (decision, creative) of pairs, by decision.

    decision, creative: int64 [c], decisions numbered from 0 in their order; of_pair: int64 [n], the cell of each pair;
    pairs: int64 [c], how many each has; starts: int64 [decisions + 1]. Each creative of a decision is paired with the
    same impressions.
    """

    decision: np.ndarray
    creative: np.ndarray
    of_pair: np.ndarray
    pairs: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, decision: np.ndarray, creative: np.ndarray, creatives: int) -> "DecisionCells":
        """The cells of n pairs, from the decision and the creative of each, int64 [n], n > 0."""
        keys, of_pair, pairs = np.unique(decision * creatives + creative, return_inverse=True, return_counts=True)
        place = np.unique(keys // creatives, return_inverse=True)[1]
        return cls(place, keys % creatives, of_pair, pairs, np.searchsorted(place, np.arange(place[-1] + 2)))

    @property
    def sizes(self) -> np.ndarray:
        """How many creatives each decision has, int64 [decisions]."""
        return np.diff(self.starts)

    def mean_of_impressions(self, blocks: Mapping[str, np.ndarray], row: np.ndarray) -> dict[str, np.ndarray]:
        """The mean of each block [impressions, k] over a decision, float32 [decisions, k]. row: of each pair."""
        from scipy.sparse import csr_array

        shape = len(self.starts) - 1, len(blocks[ONE])
        counts = csr_array((np.ones(len(row), np.float32), (self.decision[self.of_pair], row)), shape)
        total = counts.sum(axis=1)[:, None].astype(np.float32)
        return {name: (counts @ values) / total for name, values in blocks.items()}

    def mean_of_pairs(self, values: np.ndarray) -> np.ndarray:
        """The mean over the pairs of each cell of values float [n]: float64 [c]."""
        return np.bincount(self.of_pair, values, len(self.creative)) / self.pairs

    def mean_of_creatives(self, values: np.ndarray) -> np.ndarray:
        """The mean over the cells of each decision of values [c] or [c, k]: [decisions] or [decisions, k]."""
        sizes = self.sizes if values.ndim == 1 else self.sizes[:, None]
        return np.add.reduceat(values, self.starts[:-1]) / sizes
