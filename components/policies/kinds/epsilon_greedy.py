"""Epsilon-greedy: the best-scored creative, with a share of uniform exploration."""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_counts, row_maxima, row_sums, spread


@dataclass(frozen=True)
class EpsilonGreedy:
    """`exploration` in [0, 1] is shared by all eligible creatives; the rest goes to the best with a base above 0.

    Creatives that tie for the best share it.
    """

    exploration: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]."""
        offsets, scores = choices.offsets, np.where(choices.base > 0, choices.scores, -np.inf)
        best = (scores == spread(row_maxima(scores, offsets), offsets)).astype(float)
        chosen = best / spread(row_sums(best, offsets), offsets)
        return (1 - self.exploration) * chosen + self.exploration / spread(row_counts(offsets), offsets)
