"""The protocol of policies: decisions with their eligible creatives -> the probability of showing each."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Choices:
    """n decisions: the eligible creatives of decision i, at least one, are the pairs offsets[i]:offsets[i + 1].

    offsets: int64 [n + 1]. scores: float64 [n_pairs], P(click) in (0, 1). score_errors: float64 [n_pairs], their
    standard errors, without what all creatives of a decision share (InterestModel.standard_errors). preference: float64
    [n_pairs], the log of the policy's base (the logging policy's distribution up to a factor per decision), -inf for a
    creative that it never shows, finite somewhere in each decision. shown: int64 [n_pairs], how often each creative was
    shown before. decision_ids: str [n]; creative_ids: str [n_pairs], distinct within a decision: the seeds of Monte
    Carlo. None: not known.
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
        """exp(preference): float64 [n_pairs], >= 0; all 1 without a preference."""
        return np.ones(len(self.scores)) if self.preference is None else np.exp(self.preference)


class Policy(Protocol):
    """The probability of showing each eligible creative; the caller draws once from it.

    So the propensity is exact, also for a randomised policy. It may estimate its probabilities by Monte Carlo, seeded
    by the ids of the decision and its creatives (seeded_draws.py), so that a decision always has the same ones.
    """

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs] in [0, 1] that sum to 1 within each decision; 0 if the base is 0 and exploration is 0.

        They do not depend on the order of decisions or of the creatives within one.
        """
        ...
