"""Epsilon-greedy: the best-scored creative, with a share of uniform exploration; and its form for a table.

A server keeps some of a table cell's creatives and renormalises. So the table ranks them: each has RATIO times the
weight of the next one, and the best of any of them gets nearly all.
"""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_counts, row_maxima, row_sums, spread

RATIO = 100.0  # of the weights of two creatives that follow each other; the best of any subset gets at least 98.9 %
LEAST = 1e-300  # weight of those that are ranked too low for a double


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


@dataclass(frozen=True)
class Ranked:
    """Weights RATIO^-rank by score, equal for ties and 0 only where the base is 0; at least LEAST of the best."""

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]."""
        possible = choices.base > 0
        row = spread(np.arange(len(choices.offsets) - 1), choices.offsets)
        order = np.lexsort((-choices.scores, ~possible, row))
        score, first = choices.scores[order], np.zeros(len(order), dtype=bool)
        first[choices.offsets[:-1]] = True
        lower = ~first & (np.diff(score, prepend=np.nan) != 0)
        steps = np.cumsum(lower)
        rank = steps - spread(steps[choices.offsets[:-1]], choices.offsets)
        weight = np.empty(len(order))
        weight[order] = np.maximum(RATIO ** -np.minimum(rank, 150.0), LEAST)
        weight = np.where(possible, weight, 0.0)
        return weight / spread(row_sums(weight, choices.offsets), choices.offsets)
