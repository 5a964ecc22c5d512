"""Eligible creatives -> the probability of showing each.

A policy turns the scores of an impression's eligible creatives into a distribution over them. Every policy honours
`policy_protocol.Policy` and passes the one contract test; `policy_kinds.POLICIES` lists those that can be chosen.
"""

from components.policies.eligible import eligible_pairs, pair_offsets
from components.policies.kinds.chi_square import ChiSquare
from components.policies.kinds.epsilon_greedy import EpsilonGreedy
from components.policies.kinds.softmax import Softmax
from components.policies.kinds.uniform import Uniform
from components.policies.policy_kinds import POLICIES
from components.policies.policy_protocol import Choices, Policy

__all__ = [
    "POLICIES",
    "ChiSquare",
    "Choices",
    "EpsilonGreedy",
    "Policy",
    "Softmax",
    "Uniform",
    "eligible_pairs",
    "pair_offsets",
]
