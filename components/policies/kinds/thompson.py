"""Thompson sampling: a creative's probability is that of being the best in a random draw of all true scores.

    pi(a | x) = P(u_a = max_b u_b),   u_a ~ N(logit r_a + T log base_a, T^2 + s_a^2)                               (1)

where r is the score, s its standard error in log-odds (the score's over r (1 - r); 0 if unknown) and T the temperature,
noise added to every score. (Thompson 1933; Chapelle and Li 2011, "An empirical evaluation of Thompson sampling". With
Gumbel noise of scale T instead of the normal one, pi is the softmax at T.) The probabilities are shares of `draws`
draws that are seeded by the decision, so that the same decision always has the same probabilities.
"""

from dataclasses import dataclass

import numpy as np

from components.policies.kinds.seeded_draws import seeded_normals
from components.policies.kinds.softmax import MIN_SCORE, log_odds
from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_counts, row_sums, spread
from components.settings.sections import Count, Section, Seed

NORMALS_AT_ONCE = 1 << 22  # normals held at a time


class ThompsonConfig(Section):
    """Settings of `evaluation.policy.thompson`."""

    draws: Count = 256  # a probability is known to within 1 / (2 sqrt(draws))
    seed: Seed = 0


@dataclass(frozen=True)
class Thompson:
    """`temperature` > 0 in units of log-odds."""

    settings: ThompsonConfig
    temperature: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs], equation (1)."""
        row_counts(choices.offsets)
        mean, error = self._utility(choices)
        wins, block = np.zeros(len(mean)), max(1, NORMALS_AT_ONCE // max(len(mean), 1))
        for start in range(0, self.settings.draws, block):
            numbers = range(start, min(start + block, self.settings.draws))
            draws = mean[:, None] + error[:, None] * seeded_normals(choices, self.settings.seed, numbers)
            best = np.maximum.reduceat(draws, choices.offsets[:-1], axis=0)
            wins += (draws == np.repeat(best, np.diff(choices.offsets), axis=0)).sum(axis=1)
        return wins / spread(row_sums(wins, choices.offsets), choices.offsets)

    def _utility(self, choices: Choices) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of (1): float64 [n_pairs] each."""
        mean = log_odds(choices.scores)
        if choices.preference is not None:
            mean = mean + self.temperature * choices.preference
        if choices.score_errors is None:
            return mean, np.full(len(mean), self.temperature)
        score = np.clip(choices.scores, MIN_SCORE, 1 - MIN_SCORE)
        return mean, np.hypot(self.temperature, choices.score_errors / (score * (1 - score)))
