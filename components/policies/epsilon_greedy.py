"""The best-scored creative, but for a share of uniform exploration (epsilon-greedy)."""

from dataclasses import dataclass

import numpy as np

from components.policies.ragged_rows import row_counts, row_maxima, row_sums, spread


@dataclass(frozen=True)
class EpsilonGreedy:
    """`exploration` in [0, 1] goes to all eligible creatives alike, the rest to the best; ties share it."""

    exploration: float
    name: str = "greedy"

    def probabilities(self, scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """float64 [n_pairs]."""
        best = (scores == spread(row_maxima(scores, offsets), offsets)).astype(float)
        chosen = best / spread(row_sums(best, offsets), offsets)
        return (1 - self.exploration) * chosen + self.exploration / spread(row_counts(offsets), offsets)
