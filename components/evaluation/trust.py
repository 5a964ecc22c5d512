"""The trust card: how far each estimator is expected to be from the truth on *this* log, and which one to believe.

The log is cloned: its contexts and its logging distribution, with rewards redrawn from a reward model fitted to it, so
that the clone's truth is known. Estimators run on many clones; how far they are off on average is their bias, and how
often their interval holds the truth is their coverage. Where the logging distribution is not in the log, a clone
resamples its rows instead and redraws their rewards.

A reward model can be wrong in ways that it cannot simulate. So the log itself is asked too: an estimator's distance
from the doubly robust estimate, beyond what chance explains, counts as bias (the idea of SLOPE, Su et al. 2020). The
expected error is sqrt(standard error^2 + bias on clones^2 + unexplained bias^2), and the smallest is chosen.
"""

from dataclasses import dataclass, replace
from math import comb

import numpy as np

from components.config import EvaluationConfig
from components.evaluation.analysis import Analysis, analyse
from components.evaluation.intervals import bootstrap, difference, standard_error, value_of
from components.evaluation.log import Covered, LoggedDecisions, pairs_of
from components.evaluation.reward_models import LOGISTIC
from components.policy.ragged import draw, row_sums

UNBIASED = "dr"  # unbiased at any reward model, as propensities are known
LEVEL = 0.95  # of the intervals
TOO_RARE = 0.005  # chance that an honest 95 % interval misses as often on the clones; below it, it is not believed
CLONE_BOOTSTRAP = 200


@dataclass(frozen=True)
class Expected:
    """What one estimator is expected to be off by, in reward per impression."""

    estimator: str
    standard_error: float
    clone_bias: float
    unexplained_bias: float
    coverage: float  # share of the clones whose interval held the truth

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
    bias, coverage = _on_clones(covered, analysis, config)
    log = covered.log
    quantities = {name: value_of(it) for name, it in analysis.target.contributions.items()}
    expected = []
    for name, quantity in quantities.items():
        if name not in coverage:
            continue
        gap = difference(quantity, quantities[UNBIASED])
        excess = gap.value() ** 2 - standard_error(gap, log.cluster) ** 2
        unexplained = float(np.sqrt(max(excess, 0.0)))
        error = standard_error(quantity, log.cluster)
        expected.append(Expected(name, error, bias[name], unexplained, coverage[name]))
    believable = [it for it in expected if _honest(it.coverage, config.clones) and it.standard_error > 0]
    chosen = min(believable, key=lambda it: it.error).estimator if believable else None
    redrawn = "actions and rewards redrawn" if log.logging is not None else "rows resampled, rewards redrawn"
    return TrustCard(tuple(expected), chosen, config.clones, redrawn)


def _on_clones(
    covered: Covered, analysis: Analysis, config: EvaluationConfig
) -> tuple[dict[str, float], dict[str, float]]:
    """Bias beyond simulation noise, and coverage, of every estimator over the clones."""
    law = _law(covered.log, analysis)
    errors: dict[str, list[float]] = {name: [] for name in analysis.estimators()}
    hits: dict[str, list[bool]] = {name: [] for name in analysis.estimators()}
    for clone in range(config.clones):
        seed = config.seed + 1000 + clone
        log, target, truth = _clone(covered, law, config.clone_impressions, np.random.default_rng([seed, 3]))
        judged = analyse(log, target, None, (), 2, seed).target
        quantities = {name: value_of(it) for name, it in judged.contributions.items()}
        intervals = bootstrap(quantities, log.cluster, CLONE_BOOTSTRAP, seed)
        for name, interval in intervals.items():
            errors[name].append(interval.value - truth)
            hits[name].append(interval.ci_low <= truth <= interval.ci_high)
    bias = {name: _beyond_noise(np.array(error)) for name, error in errors.items() if len(error) > 1}
    return bias, {name: float(np.mean(hits[name])) for name in bias}


def _beyond_noise(errors: np.ndarray) -> float:
    """|mean error| less what the number of clones alone explains."""
    return float(np.sqrt(max(errors.mean() ** 2 - errors.var(ddof=1) / len(errors), 0.0)))


def _honest(coverage: float, clones: int) -> bool:
    """Whether a 95 % interval could well have held the truth on so few of the clones (a binomial test)."""
    hits = round(coverage * clones)
    chance = sum(comb(clones, k) * LEVEL**k * (1 - LEVEL) ** (clones - k) for k in range(hits + 1))
    return chance > TOO_RARE


def _law(log: LoggedDecisions, analysis: Analysis) -> np.ndarray:
    """P(reward) of every pair in the clones, as the model that is not the direct method's own has it, else as that one.

    float64 [n_pairs], in reward units.
    """
    others = [model for name, model in analysis.models.items() if name != LOGISTIC]
    return (others or list(analysis.models.values()))[0].predicted


def _clone(
    covered: Covered, law: np.ndarray, impressions: int, generator: np.random.Generator
) -> tuple[LoggedDecisions, np.ndarray, float]:
    """One clone, the target's probabilities on it, and the target's true value there."""
    log = covered.log
    index = _some_rows(log, impressions, generator)
    pair = pairs_of(log.offsets, index)
    clone, target, rate = log.rows(index), covered.target[pair], law[pair]
    if clone.logging is not None:
        logged = draw(clone.logging, clone.offsets, generator)
        clone = replace(clone, logged=logged, propensity=clone.logging[logged])
    reward = _redraw(log, rate[clone.logged], generator)
    truth = float(row_sums(target * rate, clone.offsets).mean())
    return clone.with_reward(reward, log.reward_range), target, truth


def _some_rows(log: LoggedDecisions, impressions: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of a clone: int64. Whole log or a random part of it; resampled where only shown propensities are known."""
    size = min(log.n, impressions)
    if log.logging is None:
        return generator.integers(0, log.n, size)
    return np.sort(generator.permutation(log.n)[:size])


def _redraw(log: LoggedDecisions, rate: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rewards with mean `rate` [n]: an observed size of reward, with the probability that gives that mean."""
    low = log.reward_range[0]
    sizes = (log.reward - low)[log.reward > low]
    chance = np.clip((rate - low) / sizes.mean(), 0.0, 1.0)
    return low + generator.choice(sizes, len(rate)) * (generator.random(len(rate)) < chance)
