"""The trust card: the expected error of each estimator on this log, and the estimator with the smallest one.

Estimators run on clones of the log (simulated_logs.py), whose truth is known. Their mean error is their bias; the share
of intervals that contain the truth is their coverage.

Clones cannot show an error of the reward model that they are drawn from. So the distance of an estimate from the doubly
robust one on the log itself, beyond what chance explains, also counts as bias (as in SLOPE, Su et al. 2020). The
expected error is sqrt(standard error^2 + bias on clones^2 + unexplained bias^2), and the smallest is chosen.

Standard errors, of the distance too, are taken from the clones. With rare rewards an estimate that is low by chance
also has a small standard error on the log itself, and would be chosen for it; clones have one truth for all estimators.
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
from components.evaluation.simulated_logs import CloneStatistics, clone_statistics
from components.settings.sections import EvaluationConfig

LEVEL = 0.95  # of the intervals
MIN_PROBABILITY = 0.005  # that a true 95 % interval misses as often as this one did; below it the estimator is rejected


@dataclass(frozen=True)
class Gap:
    """Distance of an estimate from the doubly robust one on the log, and its standard error on the clones."""

    value: float
    standard_error: float

    @property
    def unexplained(self) -> float:
        """The part of the distance that counts as bias."""
        return float(beyond_chance(np.array(self.value), np.array(self.standard_error)))


@dataclass(frozen=True)
class ExpectedError:
    """The expected error of one estimator, in reward per impression."""

    estimator: str
    standard_error: float  # on a log of this size, from the clones
    clone_bias: float
    gap: Gap
    coverage: float  # share of the clones whose interval contained the truth

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
    """Every estimator's expected error and coverage on this log, and the chosen one (None: none may be trusted)."""

    expected: tuple[ExpectedError, ...]
    chosen: str | None
    clones: int
    redrawn: str  # what a clone redraws, in words

    def reason(self) -> str:
        """One sentence: why this estimator was chosen, or why none."""
        if self.chosen is None:
            best = max(expected.coverage for expected in self.expected) if self.expected else 0.0
            return (
                f"no estimator's 95 % interval can be trusted here: the best one contained the truth on {best:.0%} "
                f"of {self.clones} simulated copies of this log ({self.redrawn})"
            )
        chosen = next(expected for expected in self.expected if expected.estimator == self.chosen)
        return (
            f"{chosen.estimator} has the smallest expected error, {chosen.error:.2g} per impression, and its interval "
            f"contained the truth on {chosen.coverage:.0%} of {self.clones} simulated copies of this log "
            f"({self.redrawn})"
        )


def trust_card(covered: Covered, analysis: Analysis, config: EvaluationConfig) -> TrustCard:
    """The trust card of the evaluation that `covered` and `analysis` belong to."""
    on_clones = clone_statistics(
        covered,
        _law(analysis),
        analysis.target.shrinkage,
        config.clones,
        impressions=config.clone_impressions,
        seed=config.seed + 1000,
    )
    expected = _expected_errors(analysis, on_clones)
    trusted = [one for one in expected if _plausible_coverage(one.coverage, config.clones) and one.standard_error > 0]
    chosen = min(trusted, key=lambda one: one.error).estimator if trusted else None
    resampled = covered.log.logging is None
    redrawn = "rows resampled, rewards redrawn" if resampled else "actions and rewards redrawn"
    return TrustCard(expected, chosen, config.clones, redrawn)


def _expected_errors(analysis: Analysis, on_clones: dict[str, CloneStatistics]) -> tuple[ExpectedError, ...]:
    quantities = {name: value_of(terms) for name, terms in analysis.target.contributions.items()}
    expected = []
    for name, quantity in quantities.items():
        if name not in on_clones:
            continue
        statistics = on_clones[name]
        gap = Gap(difference(quantity, quantities[UNBIASED]).value(), statistics.gap_error)
        expected.append(ExpectedError(name, statistics.standard_error, statistics.bias, gap, statistics.coverage))
    return tuple(expected)


def _plausible_coverage(coverage: float, clones: int) -> bool:
    """Whether a true 95 % interval contains the truth on so few clones with probability above MIN_PROBABILITY."""
    hits = round(coverage * clones)
    probability = sum(comb(clones, k) * LEVEL**k * (1 - LEVEL) ** (clones - k) for k in range(hits + 1))
    return probability > MIN_PROBABILITY


def _law(analysis: Analysis) -> RewardModel:
    """The reward model that clones are drawn from: if possible, not the one that the direct method uses."""
    others = [model for name, model in analysis.models.items() if name != LOGISTIC]
    return (others or list(analysis.models.values()))[0]
