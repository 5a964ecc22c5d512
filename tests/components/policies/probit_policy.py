"""A policy of one's own: Thompson sampling with one known error for every score, as the tests add it to POLICIES."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from components.policies.kinds.seeded_draws import seeded_normals
from components.policies.kinds.softmax import log_odds
from components.policies.policy_kinds import PolicyKind
from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import row_maxima, row_sums, spread
from components.settings.sections import Count, Section


class ProbitConfig(Section):
    """Settings of `evaluation.policy.probit`."""

    error: Annotated[float, Field(gt=0)] = 0.3  # of every score, in log-odds
    draws: Count = 64


@dataclass(frozen=True)
class Probit:
    """The share of draws that a creative wins, leaning on the base as much as the temperature says."""

    settings: ProbitConfig
    temperature: float

    def probabilities(self, choices: Choices) -> np.ndarray:
        """float64 [n_pairs]."""
        offsets, mean = choices.offsets, log_odds(choices.scores) + self.temperature * np.log(choices.base)
        wins = np.zeros(len(mean))
        for normal in seeded_normals(choices, 0, range(self.settings.draws)).T:
            drawn = mean + self.settings.error * normal
            wins += drawn == spread(row_maxima(drawn, offsets), offsets)
        return wins / spread(row_sums(wins, offsets), offsets)


KIND = PolicyKind(Probit, ProbitConfig, prefers_better=False)
