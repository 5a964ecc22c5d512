"""The trust card: luck is not taken for bias, bias is seen, and few clones tell it well."""

from dataclasses import replace

import numpy as np
import pytest

from components.evaluation.estimators.analysis import analyse
from components.evaluation.estimators.reward_models import LOGISTIC
from components.evaluation.estimators.shrinkage import SIGNIFICANT, beyond_chance
from components.evaluation.logged_decisions import Covered
from components.evaluation.simulated_logs import clone_statistics, draw_rewards
from components.evaluation.trust import Gap
from components.policies.ragged_rows import row_sums
from tests.components.evaluation.logs import known_log


@pytest.mark.parametrize("whole_distribution", [True, False])
def test_few_clones_tell_a_biased_estimator_from_an_unbiased_one(whole_distribution):
    """Actions of which no two are alike make mips biased; ips is not, and its luck on the clones is known exactly."""
    known = known_log(4, n=6000)
    log = known.log if whole_distribution else replace(known.log, logging=None)
    analysis = analyse(log, known.target, None, models=(), folds=2, seed=0)
    covered = Covered(log, known.target, None, 0.0, 0)
    shrinkage = analysis.target.shrinkage
    statistics = clone_statistics(covered, analysis.models[LOGISTIC], shrinkage, 20, impressions=6000, seed=0)
    assert statistics["mips"].bias > 0.003 > 3 * statistics["dr"].bias
    assert statistics["ips"].bias < (1e-9 if whole_distribution else 0.003)
    assert statistics["ips"].coverage > 0.7


@pytest.mark.parametrize("part", [1, 3])
def test_the_standard_error_is_that_of_a_log_of_this_size_whatever_the_clones_size(part):
    """Of ips it is known: sqrt(sum_a pi0 w^2 q - (sum_a pi q)^2, averaged) / sqrt(n), plus what contexts add."""
    known = known_log(6, n=6000)
    analysis = analyse(known.log, known.target, None, models=(), folds=2, seed=0)
    covered, law = Covered(known.log, known.target, None, 0.0, 0), analysis.models[LOGISTIC]
    statistics = clone_statistics(covered, law, analysis.target.shrinkage, 8, impressions=6000 // part, seed=0)
    rate, offsets = law.in_units(law.score(np.arange(len(known.target)))), known.log.offsets
    square = row_sums(known.target**2 / known.log.logging * rate, offsets)
    variance = square.mean() - row_sums(known.target * rate, offsets).mean() ** 2
    assert statistics["ips"].standard_error == pytest.approx(np.sqrt(variance / known.log.n), rel=0.06)
    assert statistics["dm"].standard_error < statistics["ips"].standard_error
    assert statistics["dr"].gap_error == 0.0 < statistics["dm"].gap_error


def test_a_context_that_clones_may_lack_does_not_end_the_evaluation():
    """One row of 400 differs: a resample has it or not, so the reward models' inputs are not as many on each clone."""
    known = known_log(4, n=400)
    context = np.column_stack([known.log.context, np.arange(400) == 7])
    log = replace(known.log, logging=None, context=context)
    analysis = analyse(log, known.target, None, models=(), folds=2, seed=0)
    covered = Covered(log, known.target, None, 0.0, 0)
    statistics = clone_statistics(
        covered, analysis.models[LOGISTIC], analysis.target.shrinkage, 8, impressions=400, seed=0
    )
    assert set(statistics) == set(analysis.estimators())
    assert all(np.isfinite(one.bias) for one in statistics.values())


def test_rewards_of_a_clone_have_the_laws_mean():
    """Rewards 2 or 4 of 1..5, so gains of 1 or 3, 2 on average: a mean of 2 is half a gain, one of 4 half a 5."""
    n, sizes, generator = 200_000, np.array([1.0, 3.0]), np.random.default_rng(0)
    shares = {
        1.0: {1: 1.0},
        2.0: {1: 1 / 2, 2: 1 / 4, 4: 1 / 4},
        3.0: {2: 1 / 2, 4: 1 / 2},
        4.0: {2: 1 / 4, 4: 1 / 4, 5: 1 / 2},
        5.0: {5: 1.0},
    }
    for mean, share in shares.items():
        reward = draw_rewards(np.full(n, mean), sizes, (1.0, 5.0), generator)
        assert reward.mean() == pytest.approx(mean, abs=0.02)
        values, count = np.unique(reward, return_counts=True)
        assert dict(zip(values, count / n, strict=True)) == pytest.approx(share, abs=0.006)


def test_intervals_are_honest_on_clones_of_a_log_whose_every_reward_is_positive():
    """Rewards between 0 and 1, seldom near either: the clones' rewards must not be capped at what is usual."""
    known = known_log(4, click_rate=0.4)
    rate = known.rate[known.log.logged]
    reward = np.random.default_rng(5).beta(5 * rate, 5 * (1 - rate))
    log = known.log.with_reward(reward, (0.0, 1.0))
    analysis = analyse(log, known.target, None, models=(), folds=2, seed=0)
    covered = Covered(log, known.target, None, 0.0, 0)
    statistics = clone_statistics(
        covered, analysis.models[LOGISTIC], analysis.target.shrinkage, 20, impressions=4000, seed=0
    )
    assert all(statistics[name].coverage >= 0.8 for name in ("ips", "snips", "dr", "dm"))


def test_luck_counts_as_no_bias_and_more_than_luck_does():
    gaps = np.array([0.5, SIGNIFICANT - 0.01, SIGNIFICANT + 0.01, -10.0])
    assert beyond_chance(gaps, np.ones(4)) == pytest.approx([0.0, 0.0, 2.386, 9.95], abs=0.01)
    assert Gap(0.0, 0.0).unexplained == 0.0
