"""The trust card: how far each estimator is expected to be from the truth on *this* log, and which one to believe.

The log is cloned: its contexts and its logging distribution, with rewards redrawn from a reward model fitted to it, so
that the clone's truth is known. Estimators run on many clones; how far they are off on average is their bias, and how
often their interval holds the truth is their coverage. Where the logging distribution is not in the log, a clone
resamples its rows instead and redraws their rewards.

A reward model can be wrong in ways that it cannot simulate. So the log itself is asked too: an estimator's distance
from the doubly robust estimate, beyond what chance explains, counts as bias (the idea of SLOPE, Su et al. 2020). The
expected error is sqrt(standard error^2 + bias on clones^2 + unexplained bias^2), and the smallest is chosen.

Standard errors, of the distance too, are those on the clones. Rare rewards vary by as much as they average, so on the
log itself an estimate that is low by luck looks precise and would be chosen for it; clones have one truth for all.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from components.evaluation.estimators.analysis import Analysis
from components.evaluation.estimators.estimators import UNBIASED
from components.evaluation.estimators.reward_models import LOGISTIC, RewardModel
from components.evaluation.estimators.shrinkage import beyond_chance
from components.evaluation.intervals.resampling import difference, value_of
from components.evaluation.logged_decisions import Covered
from components.evaluation.simulated_logs import behaviour_on_clones
from components.settings.sections import EvaluationConfig

LEVEL = 0.95  # of the intervals
TOO_RARE = 0.005  # chance that an honest 95 % interval misses as often on the clones; below it, it is not believed


@dataclass(frozen=True)
class Gap:
    """How far an estimate is from the doubly robust one on the log itself, and how far chance takes it on clones."""

    value: float
    standard_error: float

    @property
    def unexplained(self) -> float:
        """The part of it that counts as bias."""
        return float(beyond_chance(np.array(self.value), np.array(self.standard_error)))


@dataclass(frozen=True)
class Expected:
    """What one estimator is expected to be off by, in reward per impression."""

    estimator: str
    standard_error: float  # on a log of this size, by the clones
    clone_bias: float
    gap: Gap
    coverage: float  # share of the clones whose interval held the truth

    @property
    def unexplained_bias(self) -> float:
        """Distance from the doubly robust estimate beyond what chance explains."""
        return self.gap.unexplained

    @property
    def error(self) -> float:
        """Root of the expected squared error."""
        return float(np.sqrt(self.standard_error**2 + self.clone_bias**2 + self.unexplained_bias**2))


@dataclass(frozen=True)
class TrustCard:
    """Every estimator's expected error and coverage on this log, and the one chosen (None: none may be believed)."""

    expected: tuple[Expected, ...]
    chosen: str | None
    clones: int
    redrawn: str  # what a clone redraws, in words

    def reason(self) -> str:
        """Why this one, or why none."""
        if self.chosen is None:
            best = max(it.coverage for it in self.expected) if self.expected else 0.0
            return (
                f"no estimator's 95 % interval is honest here: the best held the truth on {best:.0%} "
                f"of {self.clones} simulated copies of this log ({self.redrawn})"
            )
        it = next(it for it in self.expected if it.estimator == self.chosen)
        return (
            f"{it.estimator} has the smallest expected error, {it.error:.2g} per impression, and its interval held the "
            f"truth on {it.coverage:.0%} of {self.clones} simulated copies of this log ({self.redrawn})"
        )


def trust_card(covered: Covered, analysis: Analysis, config: EvaluationConfig) -> TrustCard:
    """The card of one evaluation; `covered` and `analysis` are that evaluation's."""
    seen = behaviour_on_clones(
        covered, _law(analysis), analysis.target.shrinkage, config.clones, config.clone_impressions, config.seed + 1000
    )
    log = covered.log
    quantities = {name: value_of(it) for name, it in analysis.target.contributions.items()}
    expected = []
    for name, quantity in quantities.items():
        if name not in seen:
            continue
        there = seen[name]
        apart = Gap(difference(quantity, quantities[UNBIASED]).value(), there.gap_error)
        expected.append(Expected(name, there.standard_error, there.bias, apart, there.coverage))
    believable = [it for it in expected if _honest(it.coverage, config.clones) and it.standard_error > 0]
    chosen = min(believable, key=lambda it: it.error).estimator if believable else None
    redrawn = "actions and rewards redrawn" if log.logging is not None else "rows resampled, rewards redrawn"
    return TrustCard(tuple(expected), chosen, config.clones, redrawn)


def _honest(coverage: float, clones: int) -> bool:
    """Whether a 95 % interval could well have held the truth on so few of the clones (a binomial test)."""
    hits = round(coverage * clones)
    chance = sum(comb(clones, k) * LEVEL**k * (1 - LEVEL) ** (clones - k) for k in range(hits + 1))
    return chance > TOO_RARE


def _law(analysis: Analysis) -> RewardModel:
    """What rewards of the clones are drawn from: the model that is not the direct method's own, where there is one."""
    others = [model for name, model in analysis.models.items() if name != LOGISTIC]
    return (others or list(analysis.models.values()))[0]
