"""The uniform policy: every eligible creative with the same probability. Its log can evaluate any other policy."""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_sums, spread


@dataclass(frozen=True)
class Uniform:
    """pi(a | x) = 1 / |eligible(x)|, over eligible creatives with a base above 0."""

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]; the scores are not used."""
        possible = (choices.base > 0).astype(float)
        return possible / spread(row_sums(possible, choices.offsets), choices.offsets)
