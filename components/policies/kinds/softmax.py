"""Softmax over log-odds around a base, with a floor of uniform exploration.

    pi(a | x) = (1 - exploration) * q(a | x) + exploration / |eligible(x)|,   q(a | x) ~ base(a | x) odds(x, a)^(1 / T)

where odds(x, a) are those of the score and T is the temperature. q maximises E_q[log odds] - T KL(q || base)
(KL-regularised policy improvement, as in Peters et al. 2010).
Without a known base all eligible creatives have the same one. The floor keeps every eligible creative observable, so
that the next policy can be judged on this one's log.
"""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_counts, row_maxima, row_sums, spread

MIN_SCORE = 1e-9  # scores are probabilities; a 0 or 1 would have infinite log-odds
MAX_LOG_RATIO = 25.0  # nats: BoundedSoftmax treats anything further below the best of a cell as exactly this far below


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, finite also at 0 and 1."""
    clipped = np.clip(scores, MIN_SCORE, 1 - MIN_SCORE)
    return np.log(clipped) - np.log1p(-clipped)


@dataclass(frozen=True)
class Softmax:
    """`temperature` > 0 in units of log-odds (lower is greedier); `exploration` in [0, 1]."""

    temperature: float
    exploration: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]: see the module's equation."""
        offsets, utility = choices.offsets, _utility(choices, self.temperature)
        mass = np.exp(utility - spread(row_maxima(utility, offsets), offsets))
        chosen = mass / spread(row_sums(mass, offsets), offsets)
        return (1 - self.exploration) * chosen + self.exploration / spread(row_counts(offsets), offsets)


@dataclass(frozen=True)
class BoundedSoftmax:
    """Softmax without exploration; weights are at least exp(-MAX_LOG_RATIO) of the best, so no table row becomes 0."""

    temperature: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]; 0 only where the base is 0."""
        utility = _utility(choices, self.temperature)
        below_best = utility - spread(row_maxima(utility, choices.offsets), choices.offsets)
        weight = np.where(np.isneginf(utility), 0.0, np.exp(np.maximum(below_best, -MAX_LOG_RATIO)))
        row = spread(np.arange(len(choices.offsets) - 1), choices.offsets)
        return weight / np.bincount(row, weight)[row]


def _utility(choices: Choices, temperature: float) -> np.ndarray:
    """Logarithm of the softmax's numerator: float64 [n_pairs], -inf if the base is 0."""
    utility = log_odds(choices.scores) / temperature
    return utility if choices.preference is None else utility + choices.preference
