"""Chi-square-regularised policy: a base tilted towards reward, with the smallest variance of its estimated lift.

    q(a | x) = base(a | x) w(a | x),   w = max(0, 1 + (1 - nu_x / r(x, a)) / T),   nu_x such that q sums to 1        (1)

where r is the predicted reward and T the temperature; near the base, w is about (r / nu)^(1 / T). Among all policies
with the same expected reward, q is the one whose lift over the base has the smallest variance when it is estimated by
importance weights on the base's log: (1) maximises

    sum_a base w r - T / 2 sum_a base r (w - 1)^2                                                                (2)

where r (1 - r), about r for rare rewards, is the variance of a 0/1 reward. So q is a policy improvement regularised by
chi-square instead of KL divergence (Huang et al. 2024, "Correcting the mythos of KL-regularization", arXiv 2407.13399;
in offline learning from logs Swaminathan & Joachims 2015, "Counterfactual risk minimization").
"""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_counts, row_sums, spread

MIN_REWARD = 1e-9  # the least reward that (1) divides by


@dataclass(frozen=True)
class ChiSquare:
    """`temperature` > 0, lower is greedier; `exploration` in [0, 1], shared evenly by the eligible creatives."""

    temperature: float
    exploration: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs], equation (1)."""
        offsets, mass = choices.offsets, choices.base
        reward = np.maximum(choices.scores, MIN_REWARD)
        mass = mass / spread(row_sums(mass, offsets), offsets)
        ratio = spread(self._nu(reward, mass, offsets), offsets) / reward
        tilted = mass * np.maximum(0.0, 1 + (1 - ratio) / self.temperature)
        chosen = tilted / spread(row_sums(tilted, offsets), offsets)
        return (1 - self.exploration) * chosen + self.exploration / spread(row_counts(offsets), offsets)

    def _nu(self, reward: np.ndarray, mass: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """nu of each row, float64 [n]: tries the best k creatives as those with w > 0, for every k at once.

        With the best k, (1) sums to 1 at nu_k = ((1 + 1 / T) sum_k base - 1) T / sum_k (base / r); the true k is the
        largest whose last creative still has w > 0.
        """
        row = spread(np.arange(len(offsets) - 1), offsets)
        order = np.lexsort((-reward, row))
        ranked, weight = reward[order], mass[order]
        starts = offsets[:-1]

        def running(values: np.ndarray) -> np.ndarray:  # within each row
            total = values.cumsum()
            return total - spread(total[starts] - values[starts], offsets)

        share, harmonic = running(weight), running(weight / ranked)
        nu = np.divide(
            (self.temperature + 1) * share - self.temperature, harmonic, out=np.zeros(len(share)), where=harmonic > 0
        )
        positive = self.temperature * ranked + ranked > nu
        count = np.add.reduceat(positive.astype(int), starts)
        return nu[starts + count - 1]
