"""The policies that `evaluation.policy.name` chooses from. A new one is one file in kinds/ and one line in POLICIES.

Each form of a policy has a temperature, chosen on the select split; some policies ignore it. The exploration
floor and the share of new creatives are added to every policy alike (probability_floors.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.policies.kinds.chi_square import ChiSquare
from components.policies.kinds.epsilon_greedy import EpsilonGreedy, Ranked
from components.policies.kinds.learned_scores import Learn, PopularityConfig, RulesConfig, popularity, rules
from components.policies.kinds.softmax import BoundedSoftmax, Softmax
from components.policies.kinds.thompson import Thompson, ThompsonConfig
from components.policies.kinds.uniform import Uniform
from components.policies.policy_protocol import Policy
from components.settings.errors import UserError
from components.settings.sections import NoSettings, Section


@dataclass(frozen=True)
class PolicyKind:
    """A policy that can be chosen by name.

    make: its settings and a temperature (log-odds, > 0, lower is greedier) -> policy. settings: the type of the section
    `evaluation.policy.<name>`. table: as `make`, for the cells of a decision table, if they need another policy.
    prefers_better: whether, of creatives with equal base, a better-scored one never gets a lower probability. learn:
    settings and the decisions before the select split -> scores of the policy's own (learned_scores.py); None: the
    interest model's scores. needs_errors: whether it needs the scores' standard errors, of a kind of interest model
    that has them.
    """

    make: Callable[[Any, float], Policy]
    settings: type[Section] = NoSettings
    table: Callable[[Any, float], Policy] | None = None
    prefers_better: bool = True
    learn: Learn | None = None
    needs_errors: bool = False

    def for_table(self, settings: Section, temperature: float) -> Policy:
        """The policy for the cells of a decision table."""
        return (self.table or self.make)(settings, temperature)


def _bounded(settings: NoSettings, temperature: float) -> Policy:
    return BoundedSoftmax(temperature)


def _greedy(settings: Section, temperature: float) -> Policy:
    return EpsilonGreedy(0.0)


def _ranked(settings: Section, temperature: float) -> Policy:
    return Ranked()


POLICIES: dict[str, PolicyKind] = {
    "chi_square": PolicyKind(lambda settings, temperature: ChiSquare(temperature, 0.0), table=_bounded),
    "softmax": PolicyKind(lambda settings, temperature: Softmax(temperature, 0.0), table=_bounded),
    "epsilon_greedy": PolicyKind(_greedy, table=_ranked),
    "uniform": PolicyKind(lambda settings, temperature: Uniform()),
    "thompson": PolicyKind(Thompson, ThompsonConfig, prefers_better=False, needs_errors=True),
    "popularity": PolicyKind(_greedy, PopularityConfig, table=_ranked, learn=popularity),
    "rules": PolicyKind(_greedy, RulesConfig, table=_ranked, learn=rules),
}


def policy_kind(name: str, place: str = "evaluation.policy.name") -> PolicyKind:
    """The policy called `name`, which stands at `place`. Raises UserError listing the known ones if there is none."""
    if name not in POLICIES:
        raise UserError(f"{place}: no policy is called {name!r}; there are {', '.join(POLICIES)}")
    return POLICIES[name]
