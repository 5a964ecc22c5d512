"""Every eligible creative alike: the policy whose log speaks for any other."""

from dataclasses import dataclass

import numpy as np

from components.policies.ragged_rows import row_counts, spread


@dataclass(frozen=True)
class Uniform:
    """pi(a | x) = 1 / |eligible(x)|."""

    name: str = "uniform"

    def probabilities(self, scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """float64 [n_pairs]; the scores do not matter."""
        return 1.0 / spread(row_counts(offsets), offsets)
