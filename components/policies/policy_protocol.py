"""What every policy is given and gives: decisions with their eligible creatives -> probabilities of showing each."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Choices:
    """n decisions: decision i owns the pairs offsets[i]:offsets[i + 1], its eligible creatives, at least one.

    offsets: int64 [n + 1]. scores: float64 [n_pairs], P(click) in (0, 1). score_errors: float64 [n_pairs], their
    standard errors. preference: float64 [n_pairs], the log of the base that a policy may lean on (the logging policy's
    distribution, up to a factor of each decision), -inf where it never shows a creative, finite somewhere in each
    decision. shown: int64 [n_pairs], how often each creative was shown before. decision_ids: str [n]; creative_ids: str
    [n_pairs], distinct within a decision: what Monte Carlo is seeded by. None: not known.
    """

    offsets: np.ndarray
    scores: np.ndarray
    score_errors: np.ndarray | None = None
    preference: np.ndarray | None = None
    shown: np.ndarray | None = None
    decision_ids: np.ndarray | None = None
    creative_ids: np.ndarray | None = None

    @property
    def base(self) -> np.ndarray:
        """exp(preference): float64 [n_pairs], >= 0; all alike where nothing is known."""
        return np.ones(len(self.scores)) if self.preference is None else np.exp(self.preference)


class Policy(Protocol):
    """Decisions -> the probability of showing each eligible creative; whoever acts draws once from it.

    So the propensity is exact, for a randomised policy too: it may estimate its probabilities by Monte Carlo, seeded
    by what the decision and its creatives are called (seeded_draws.py), so that a decision always has the same ones.
    """

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs] in [0, 1] that sum to 1 within each decision, 0 where the base is 0 and nothing explores.

        Neither the order of decisions nor that of the creatives within one matters.
        """
        ...
