"""Softmax over log-odds around a base, with a floor of uniform exploration.

    pi(a | x) = (1 - exploration) * q(a | x) + exploration / |eligible(x)|,   q(a | x) ~ base(a | x) odds(x, a)^(1 / T)

with odds(x, a) of the score and T the temperature. q maximises E_q[log odds] - T KL(q || base): the most log-odds for
the least departure from the base (KL-regularised policy improvement, as in Peters et al. 2010).
Without a known base all eligible creatives weigh alike. The floor keeps every eligible creative observable, so that
the next policy can be judged on this one's log.
"""

from dataclasses import dataclass

import numpy as np

from components.policies.ragged_rows import row_counts, row_maxima, row_sums, spread

EDGE = 1e-9  # scores are probabilities; a 0 or 1 would have infinite log-odds


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Probabilities -> log-odds, finite at 0 and 1 too."""
    clipped = np.clip(scores, EDGE, 1 - EDGE)
    return np.log(clipped) - np.log1p(-clipped)


@dataclass(frozen=True)
class Softmax:
    """`temperature` > 0 in units of log-odds (lower is greedier); `exploration` in [0, 1]."""

    temperature: float
    exploration: float
    name: str = "softmax"

    def probabilities(self, scores: np.ndarray, offsets: np.ndarray, base: np.ndarray | None = None) -> np.ndarray:
        """float64 [n_pairs]: see the module's equation. base: float64 [n_pairs], >= 0, some of it > 0 in each row."""
        utility = log_odds(scores) / self.temperature
        if base is not None:
            utility = utility + np.log(base, out=np.full(len(base), -np.inf), where=base > 0)
        mass = np.exp(utility - spread(row_maxima(utility, offsets), offsets))
        chosen = mass / spread(row_sums(mass, offsets), offsets)
        return (1 - self.exploration) * chosen + self.exploration / spread(row_counts(offsets), offsets)
