"""Bias and interval coverage of each estimator on clones: simulated copies of a log whose truth is known.

A clone has the contexts and the logging distribution of the log; its actions are drawn from that distribution and its
rewards from a reward model fitted to the log, called the law. If the logging distribution is not in the log, a clone
resamples rows instead and draws only their rewards.

Most of an estimate's error on one clone is chance, and most of that can be computed: under the law q, the means of
w (r - q), of r - q and of w q - q_pi all have expectation 0. They are control variates: an estimator's bias is the
intercept of the regression of its errors on them, so a few clones suffice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.estimators.action_embedding import Embedding, embed
from components.evaluation.estimators.analysis import estimate_policy
from components.evaluation.estimators.estimators import UNBIASED
from components.evaluation.estimators.reward_features import Design, design
from components.evaluation.estimators.reward_models import LOGISTIC, RewardModel, fit_logistic_model
from components.evaluation.intervals.resampling import Ratios, bootstrap, difference, standard_error, value_of
from components.evaluation.logged_decisions import Covered, LoggedDecisions, pairs_of
from components.policies.ragged_rows import draw_per_row, row_sums

FOLDS = 2
REPLICATES = 200  # of each clone's bootstrap
MAX_BAGS = 512  # of each clone's bootstrap, which only has to show whether the interval contains the truth


@dataclass(frozen=True)
class CloneStatistics:
    """The errors of one estimator over all clones, in reward per impression."""

    bias: float  # |mean error| beyond what the number of clones explains
    coverage: float  # share of the clones whose interval contained the truth
    standard_error: float  # root mean square over the clones, scaled to the size of the log
    gap_error: float  # the same of the distance from the unbiased estimate


@dataclass(frozen=True)
class _CloneTemplate:
    """What clones share: the impressions, the law on their pairs, and the estimators' inputs."""

    log: LoggedDecisions
    target: np.ndarray  # float64 [n_pairs]
    rate: np.ndarray  # float64 [n_pairs], mean reward by the law
    expected: np.ndarray  # float64 [n], sum_a pi(a|x) rate(x, a)
    inputs: Design
    embedding: Embedding | None


@dataclass(frozen=True)
class _CloneEstimate:
    """One estimator on one clone: its error, whether its interval contains the truth, and two standard errors."""

    error: float
    covers: bool
    standard_error: float
    gap_error: float


def clone_statistics(
    covered: Covered, law: RewardModel, shrinkage: dict[str, float], clones: int, *, impressions: int, seed: int
) -> dict[str, CloneStatistics]:
    """The statistics of each estimator over `clones` clones of at most `impressions` rows, by the estimator's name.

    shrinkage: of each estimator, as tuned on the log. An estimator without an interval on some clone is left out.
    """
    estimates: dict[str, list[_CloneEstimate]] = {}
    variates = []
    for clone_estimates, clone_variates in _clones(covered, law, shrinkage, clones, impressions=impressions, seed=seed):
        variates.append(clone_variates)
        for name, estimate in clone_estimates.items():
            estimates.setdefault(name, []).append(estimate)
    shrink = np.sqrt(min(covered.log.n, impressions) / covered.log.n)
    return {
        name: _statistics(on_clones, np.array(variates), shrink)
        for name, on_clones in estimates.items()
        if len(on_clones) == clones
    }


def _statistics(estimates: list[_CloneEstimate], variates: np.ndarray, shrink: float) -> CloneStatistics:
    errors = np.array([(one.standard_error, one.gap_error) for one in estimates])
    standard_error, gap_error = shrink * np.sqrt(np.square(errors).mean(axis=0))
    bias = _bias(np.array([one.error for one in estimates]), variates)
    return CloneStatistics(
        bias, float(np.mean([one.covers for one in estimates])), float(standard_error), float(gap_error)
    )


def _clones(
    covered: Covered, law: RewardModel, shrinkage: dict[str, float], clones: int, *, impressions: int, seed: int
) -> Iterator[tuple[dict[str, _CloneEstimate], list[float]]]:
    """For each clone: each estimator's estimate, and the control variates."""
    generator = np.random.default_rng([seed, 3])
    log = covered.log
    low, high = log.reward_range
    sizes = (log.reward - low)[(log.reward > low) & log.consenting]
    sizes = sizes if len(sizes) else np.array([high - low])
    template, start = _template(covered, law, impressions, generator, seed), None
    for clone in range(clones):
        if log.logging is None and clone:
            # other rows can have other columns that vary, so an earlier clone's fit is no start for theirs
            template, start = _template(covered, law, impressions, generator, seed), None
        drawn = _drawn(template, sizes, generator)
        inputs = replace(template.inputs, log=drawn, reward=(drawn.reward - low) / (high - low))
        model = fit_logistic_model(inputs, FOLDS, start)
        start = model.fits[0]
        policy = estimate_policy(
            drawn, template.target, inputs, {LOGISTIC: model}, model, embedding=template.embedding, shrinkage=shrinkage
        )
        quantities = {name: value_of(terms) for name, terms in policy.contributions.items()}
        yield _clone_estimates(quantities, drawn, float(template.expected.mean()), seed), _variates(template, drawn)


def _clone_estimates(
    quantities: dict[str, Ratios], drawn: LoggedDecisions, truth: float, seed: int
) -> dict[str, _CloneEstimate]:
    estimates = {}
    for name, interval in bootstrap(quantities, drawn.cluster, REPLICATES, seed, max_bags=MAX_BAGS).items():
        gap = difference(quantities[name], quantities[UNBIASED])
        estimates[name] = _CloneEstimate(
            error=interval.value - truth,
            covers=interval.ci_low <= truth <= interval.ci_high,
            standard_error=standard_error(quantities[name], drawn.cluster),
            gap_error=standard_error(gap, drawn.cluster),
        )
    return estimates


def _template(
    covered: Covered, law: RewardModel, impressions: int, generator: np.random.Generator, seed: int
) -> _CloneTemplate:
    log = covered.log
    size = min(log.n, impressions)
    resampled = log.logging is None
    index = generator.integers(0, log.n, size) if resampled else np.sort(generator.permutation(log.n)[:size])
    pair = pairs_of(log.offsets, index)
    part, target, rate = log.rows(index), covered.target[pair], law.in_units(law.score(pair))
    expected = row_sums(target * rate, part.offsets)
    return _CloneTemplate(part, target, rate, expected, design(part, (target,), FOLDS, seed), embed(part, seed))


def _drawn(template: _CloneTemplate, sizes: np.ndarray, generator: np.random.Generator) -> LoggedDecisions:
    """One clone: actions drawn if their distribution is known, rewards of observed `sizes` with the law's mean."""
    log = template.log
    if log.logging is not None:
        logged = draw_per_row(log.logging, log.offsets, generator)
        log = replace(log, logged=logged, propensity=log.logging[logged])
    reward = draw_rewards(template.rate[log.logged], sizes, log.reward_range, generator)
    return log.with_reward(reward, log.reward_range)


def draw_rewards(
    mean: np.ndarray, sizes: np.ndarray, reward_range: tuple[float, float], generator: np.random.Generator
) -> np.ndarray:
    """Random rewards with the given means, within the range: float64 [n].

    sizes: observed rewards minus the least possible one. A row gets a random one of them with the probability that
    gives its mean. If its mean is above theirs, it gets one always, or else the largest possible reward.
    """
    low, high = reward_range
    gain, mean_size, max_size = mean - low, sizes.mean(), high - low
    size, uniform = generator.choice(sizes, len(mean)), generator.random(len(mean))
    largest = uniform * (max_size - mean_size) < gain - mean_size
    return low + np.where(largest, max_size, size) * (uniform < gain / mean_size)


def _variates(template: _CloneTemplate, drawn: LoggedDecisions) -> list[float]:
    """The control variates of one clone, each 0 in expectation."""
    weight, rate = drawn.weight(template.target), template.rate[drawn.logged]
    residual = drawn.reward - rate
    variates = [float((weight * residual).mean()), float(residual.mean())]
    return variates if drawn.logging is None else [*variates, float((weight * rate - template.expected).mean())]


def _bias(errors: np.ndarray, variates: np.ndarray) -> float:
    """|intercept| of errors [clones] on variates [clones, k], minus its noise; fewer variates if clones are few."""
    inputs = np.column_stack([np.ones(len(errors)), variates[:, : (len(errors) - 1) // 3]])
    inverse = np.linalg.pinv(inputs.T @ inputs)
    fitted = inverse @ (inputs.T @ errors)
    free = max(len(errors) - inputs.shape[1], 1)
    noise = ((errors - inputs @ fitted) ** 2).sum() / free * inverse[0, 0]
    return float(np.sqrt(max(fitted[0] ** 2 - noise, 0.0)))
