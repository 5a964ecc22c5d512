"""What every policy is: a name, and probabilities over each impression's eligible creatives."""

from typing import Protocol

import numpy as np


class Policy(Protocol):
    """Scores of the eligible creatives -> probability of showing each."""

    name: str

    def probabilities(self, scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Scores [n_pairs] -> float64 [n_pairs] in [0, 1] that sum to 1 within each impression.

        scores: float64 [n_pairs], P(click) in (0, 1) of each pair (impression, eligible creative).
        offsets: int64 [n_impressions + 1]; impression i owns the pairs offsets[i]:offsets[i + 1], at least one.
        """
        ...
