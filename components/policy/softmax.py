"""Softmax over log-odds, with a floor of uniform exploration.

    pi(a | x) = (1 - exploration) * softmax_a(logit(score(x, a)) / temperature) + exploration / |eligible(x)|

The floor keeps every eligible creative observable, so that the next policy can be judged on this one's log.
"""

from dataclasses import dataclass

import numpy as np

from components.policy.ragged import row_counts, row_maxima, row_sums, spread

EDGE = 1e-9  # scores are probabilities; a 0 or 1 would have infinite log-odds


@dataclass(frozen=True)
class Softmax:
    """`temperature` > 0 in units of log-odds (lower is greedier); `exploration` in [0, 1]."""

    temperature: float
    exploration: float
    name: str = "softmax"

    def probabilities(self, scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """float64 [n_pairs]: see the module's equation."""
        clipped = np.clip(scores, EDGE, 1 - EDGE)
        utility = (np.log(clipped) - np.log1p(-clipped)) / self.temperature
        mass = np.exp(utility - spread(row_maxima(utility, offsets), offsets))
        chosen = mass / spread(row_sums(mass, offsets), offsets)
        return (1 - self.exploration) * chosen + self.exploration / spread(row_counts(offsets), offsets)
