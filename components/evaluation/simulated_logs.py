"""Simulated copies of a log, whose truth is known: how biased is each estimator on them, and how honest its interval?

A clone has contexts and the logging distribution of *this* log; its actions are drawn from that distribution and its
rewards from a reward model fitted to the log. Where the logging distribution is not in the log, a clone resamples rows
and redraws their rewards alone.

The error of an estimate on a clone is mostly luck, and most of the luck is known: with the clone's law q, the means of
w (r - q), of r - q and of w q - q_pi are all 0 in expectation. They are control variates: an estimator's bias is the
intercept of its errors' regression on them, so that few clones tell it well.
"""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.estimators.action_embedding import Embedding, embed
from components.evaluation.estimators.analysis import judge
from components.evaluation.estimators.estimators import UNBIASED
from components.evaluation.estimators.reward_features import Design, design
from components.evaluation.estimators.reward_models import LOGISTIC, RewardModel, fit_logistic_model
from components.evaluation.intervals.resampling import bootstrap, difference, standard_error, value_of
from components.evaluation.logged_decisions import Covered, LoggedDecisions, pairs_of
from components.policies.ragged_rows import draw_per_row, row_sums

FOLDS = 2
RESAMPLES = 200  # of each clone's bootstrap
BAGS = 512  # of each clone's bootstrap: its interval is asked for a yes or no, not for digits


@dataclass(frozen=True)
class Behaviour:
    """What one estimator does on the clones."""

    bias: float  # |mean error| beyond what the number of clones alone explains, in reward per impression
    coverage: float  # share of the clones whose interval held the truth
    standard_error: float  # root mean square over the clones, brought to the size of the log
    gap_error: float  # the same of the distance from the unbiased estimate


@dataclass(frozen=True)
class _Stage:
    """What stays the same while rewards are redrawn: impressions, their pairs' law, and the estimators' inputs."""

    log: LoggedDecisions
    target: np.ndarray  # float64 [n_pairs]
    rate: np.ndarray  # float64 [n_pairs], the clones' P(reward), in reward units
    expected: np.ndarray  # float64 [n], sum_a pi(a|x) rate(x, a)
    inputs: Design
    embedding: Embedding | None


def behaviour_on_clones(
    covered: Covered, law: RewardModel, shrinkage: dict[str, float], clones: int, impressions: int, seed: int
) -> dict[str, Behaviour]:
    """Bias and coverage of every estimator over `clones` copies of at most `impressions` rows with rewards of `law`.

    shrinkage: of each estimator, as tuned on the log, for it is that estimator which is being judged.
    """
    generator = np.random.default_rng([seed, 3])
    log = covered.log
    low, high = log.reward_range
    sizes = (log.reward - low)[(log.reward > low) & log.taught]
    sizes = sizes if len(sizes) else np.array([high - low])
    stage = _stage(covered, law, impressions, generator, seed)
    errors: dict[str, list[float]] = {}
    hits: dict[str, list[bool]] = {}
    spread: dict[str, list[tuple[float, float]]] = {}
    luck, start = [], None
    for clone in range(clones):
        if log.logging is None and clone:
            # Among other rows other columns vary: an earlier clone's fit is of other inputs.
            stage, start = _stage(covered, law, impressions, generator, seed), None
        drawn = _drawn(stage, sizes, generator)
        luck.append(_luck(stage, drawn))
        truth = float(stage.expected.mean())
        low, high = drawn.reward_range
        inputs = replace(stage.inputs, log=drawn, reward=(drawn.reward - low) / (high - low))
        model = fit_logistic_model(inputs, FOLDS, start)
        start = model.fits[0]
        judged = judge(drawn, stage.target, inputs, {LOGISTIC: model}, model, stage.embedding, shrinkage)
        quantities = {name: value_of(it) for name, it in judged.contributions.items()}
        intervals = bootstrap(quantities, drawn.cluster, RESAMPLES, seed, most_bags=BAGS)
        for name, interval in intervals.items():
            errors.setdefault(name, []).append(interval.value - truth)
            hits.setdefault(name, []).append(interval.ci_low <= truth <= interval.ci_high)
            apart = difference(quantities[name], quantities[UNBIASED])
            each = standard_error(quantities[name], drawn.cluster), standard_error(apart, drawn.cluster)
            spread.setdefault(name, []).append(each)
    smaller = np.sqrt(stage.log.n / log.n)
    everywhere = [name for name in errors if len(errors[name]) == clones]
    return {
        name: Behaviour(
            _bias(np.array(errors[name]), np.array(luck)),
            float(np.mean(hits[name])),
            *(float(it) for it in smaller * np.sqrt(np.square(spread[name]).mean(axis=0))),
        )
        for name in everywhere
    }


def _stage(covered: Covered, law: RewardModel, impressions: int, generator: np.random.Generator, seed: int) -> _Stage:
    log = covered.log
    size = min(log.n, impressions)
    resampled = log.logging is None
    index = generator.integers(0, log.n, size) if resampled else np.sort(generator.permutation(log.n)[:size])
    pair = pairs_of(log.offsets, index)
    part, target, rate = log.rows(index), covered.target[pair], law.in_units(law.score(pair))
    expected = row_sums(target * rate, part.offsets)
    return _Stage(part, target, rate, expected, design(part, (target,), FOLDS, seed), embed(part, seed))


def _drawn(stage: _Stage, sizes: np.ndarray, generator: np.random.Generator) -> LoggedDecisions:
    """One clone: actions drawn where their distribution is known, rewards of observed `sizes` with the law's mean."""
    log = stage.log
    if log.logging is not None:
        logged = draw_per_row(log.logging, log.offsets, generator)
        log = replace(log, logged=logged, propensity=log.logging[logged])
    reward = draw_rewards(stage.rate[log.logged], sizes, log.reward_range, generator)
    return log.with_reward(reward, log.reward_range)


def draw_rewards(
    mean: np.ndarray, sizes: np.ndarray, reward_range: tuple[float, float], generator: np.random.Generator
) -> np.ndarray:
    """Rewards with means `mean` within the range: float64 [n].

    sizes: rewards that were seen, over the least possible one. A row earns one of them now and then; a row that earns
    more than their mean earns one always, and now and then the most possible in its place.
    """
    low, high = reward_range
    gain, usual, most = mean - low, sizes.mean(), high - low
    size, chance = generator.choice(sizes, len(mean)), generator.random(len(mean))
    more = chance * (most - usual) < gain - usual
    return low + np.where(more, most, size) * (chance < gain / usual)


def _luck(stage: _Stage, drawn: LoggedDecisions) -> list[float]:
    """The control variates of one clone, each 0 in expectation."""
    weight, rate = drawn.weight(stage.target), stage.rate[drawn.logged]
    surprise = drawn.reward - rate
    luck = [float((weight * surprise).mean()), float(surprise.mean())]
    return luck if drawn.logging is None else [*luck, float((weight * rate - stage.expected).mean())]


def _bias(errors: np.ndarray, luck: np.ndarray) -> float:
    """|intercept| of errors [clones] on luck [clones, k], less its own noise; on part of it where clones are few."""
    known = luck[:, : (len(errors) - 1) // 3]
    inputs = np.column_stack([np.ones(len(errors)), known])
    inverse = np.linalg.pinv(inputs.T @ inputs)
    fitted = inverse @ (inputs.T @ errors)
    free = max(len(errors) - inputs.shape[1], 1)
    noise = ((errors - inputs @ fitted) ** 2).sum() / free * inverse[0, 0]
    return float(np.sqrt(max(fitted[0] ** 2 - noise, 0.0)))
