"""Softmax over log-odds around a base, with a floor of uniform exploration.

    pi(a | x) = (1 - exploration) * q(a | x) + exploration / |eligible(x)|,   q(a | x) ~ base(a | x) odds(x, a)^(1 / T)

with odds(x, a) of the score and T the temperature. q maximises E_q[log odds] - T KL(q || base): the most log-odds for
the least departure from the base (KL-regularised policy improvement, as in Peters et al. 2010).
Without a known base all eligible creatives weigh alike. The floor keeps every eligible creative observable, so that
the next policy can be judged on this one's log.
"""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_counts, row_maxima, row_sums, spread

EDGE = 1e-9  # scores are probabilities; a 0 or 1 would have infinite log-odds
RANGE = 25.0  # nats below the best of a cell at which BoundedSoftmax stops: the floor covers what is beyond


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Probabilities -> log-odds, finite at 0 and 1 too."""
    clipped = np.clip(scores, EDGE, 1 - EDGE)
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
    """Softmax without a floor whose weights end at exp(-RANGE) of the best: no row of a decision table vanishes."""

    temperature: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]; 0 only where the base is 0."""
        utility = _utility(choices, self.temperature)
        below_best = utility - spread(row_maxima(utility, choices.offsets), choices.offsets)
        weight = np.where(np.isneginf(utility), 0.0, np.exp(np.maximum(below_best, -RANGE)))
        row = spread(np.arange(len(choices.offsets) - 1), choices.offsets)
        return weight / np.bincount(row, weight)[row]


def _utility(choices: Choices, temperature: float) -> np.ndarray:
    """log of the softmax's numerator: float64 [n_pairs], -inf where the base is 0."""
    utility = log_odds(choices.scores) / temperature
    return utility if choices.preference is None else utility + choices.preference
