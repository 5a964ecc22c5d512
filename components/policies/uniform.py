"""Every eligible creative alike: the policy whose log speaks for any other."""

from dataclasses import dataclass

import numpy as np

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_sums, spread


@dataclass(frozen=True)
class Uniform:
    """pi(a | x) = 1 / |eligible(x)|; what the base never shows does not count."""

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]; the scores do not matter."""
        possible = (choices.base > 0).astype(float)
        return possible / spread(row_sums(possible, choices.offsets), choices.offsets)
