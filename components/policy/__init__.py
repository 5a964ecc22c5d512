"""Eligible creatives -> the probability of showing each.

A policy turns the scores of an impression's eligible creatives into a distribution over them. Every policy honours
`protocol.Policy` and passes the one contract test; a new one is one file and one line in POLICIES.
"""

from components.policy.chi_square import ChiSquare
from components.policy.eligible import eligible_pairs, pair_offsets
from components.policy.greedy import EpsilonGreedy
from components.policy.protocol import Policy
from components.policy.softmax import Softmax
from components.policy.uniform import Uniform

POLICIES: tuple[type, ...] = (ChiSquare, Softmax, Uniform, EpsilonGreedy)

__all__ = ["POLICIES", "ChiSquare", "EpsilonGreedy", "Policy", "Softmax", "Uniform", "eligible_pairs", "pair_offsets"]
