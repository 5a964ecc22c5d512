"""What would settle an abstention: the gate's own sums, under other exploration too, and numbers that hold."""

import json
from dataclasses import replace

import numpy as np
import pytest

from components.evaluation import evaluate
from components.evaluation.gate.evidence import gate_evidence
from components.evaluation.gate.lift_bound import SCALE_ROWS, LiftRows, lift_rows, lift_sums, lower_lift
from components.evaluation.gate.sample_size import (
    FIRST_ALPHA,
    POWER,
    SampleSizes,
    _explored_option,
    _option_of_sums,
    sample_sizes,
)
from components.evaluation.logged_decisions import cover
from components.settings.sections import EvaluationConfig
from tests.components.evaluation.logs import known_log

QUICK = EvaluationConfig(bootstrap=100, clones=2, clone_impressions=500, reward_models=(), min_ess=100.0)


def sizes_of(known, config=QUICK, log=None, target=None, baseline=None) -> SampleSizes:
    log, target = log or known.log, known.target if target is None else target
    return sample_sizes(log, target, baseline, cover(log, target, baseline), config)


@pytest.mark.parametrize("with_champion", [False, True])
def test_as_logged_now_it_is_the_gates_own_sums(with_champion):
    known = known_log(0)
    champion = known.log.logging[::-1] if with_champion else None
    champion = None if champion is None else champion / np.repeat(np.add.reduceat(champion, known.log.offsets[:-1]), 6)
    now = sizes_of(known, baseline=champion).options[0]
    sums = gate_evidence(cover(known.log, known.target, champion), (), 0.0, 0.1).sums
    judged, rates = 4000 - SCALE_ROWS, np.array(now.rates)
    assert sums.moments.squares == pytest.approx(judged * now.square)
    assert now.rates == sums.rates
    growth = rates * sums.moments.total - judged * np.array(now.curvatures)
    assert growth == pytest.approx(np.array(sums.growth), abs=1e-9)


@pytest.mark.parametrize("with_champion", [False, True])
def test_a_little_exploration_changes_little(with_champion):
    known = known_log(0, n=20_000)
    champion = known.target if with_champion else None
    target = known.log.logging if with_champion else known.target
    now = sizes_of(known, target=target, baseline=champion).options[0]
    nearly = _explored_option(
        known.log, target, champion, 1e-6, rows=lift_rows(known.log, target, champion), config=QUICK
    )
    assert nearly.square == pytest.approx(now.square, rel=0.05)
    assert nearly.impressions(0.01, FIRST_ALPHA) == pytest.approx(now.impressions(0.01, FIRST_ALPHA), rel=0.1)


def test_the_moments_under_exploration_are_those_of_a_log_that_explored():
    """Equation (1) against the expectation under p_e, for which the true rates are known."""
    known = known_log(1, n=40_000, click_rate=0.1)
    for option in sizes_of(known).options:
        chance = (1 - option.exploration) * known.log.logging + option.exploration / 6
        gap = (known.target - known.log.logging) / chance
        guess = (chance * gap**2 * known.rate).sum() / (chance * gap**2).sum()
        missed = known.rate * (1 - guess) ** 2 + (1 - known.rate) * guess**2  # E (r - q)^2
        true = float((chance * gap**2 * missed).sum() / known.log.n)
        assert option.square == pytest.approx(true, rel=0.1)


def test_so_many_impressions_settle_it_as_often_as_promised():
    generator = np.random.default_rng(0)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        """Two actions shown alike, the target prefers the first at 9 : 1; a true lift of 0.0075 over 0.05."""
        first = generator.random(n) < 0.5
        return np.where(first, 1.8, 0.2), (generator.random(n) < np.where(first, 0.059375, 0.040625)).astype(float)

    weight, reward = drawn(200_000)
    option = _option_of_sums(lift_sums(LiftRows.from_weights(weight, np.ones(200_000), reward), np.array([200_000]))[0])
    n = option.impressions(0.0075, FIRST_ALPHA)
    passed = 0
    for _ in range(150):
        weight, reward = drawn(n)
        passed += lower_lift(LiftRows.from_weights(weight, np.ones(n), reward), FIRST_ALPHA, np.array([n]))[0] > 0
    assert POWER - 0.12 < passed / 150 < POWER + 0.12
    assert option.impressions(0.0075, FIRST_ALPHA / 100) > n > option.impressions(0.015, FIRST_ALPHA)
    assert option.impressions(0.0075, FIRST_ALPHA, margin=0.0075) is None


def test_what_the_log_never_shows_is_settled_by_exploration_alone():
    known = known_log(8)
    log = known.log
    hidden = log.action == 0
    shown = np.flatnonzero(log.action[log.logged] != 0)
    probabilities = np.where(hidden, 0.0, log.logging)
    probabilities /= np.repeat(np.add.reduceat(probabilities, log.offsets[:-1]), 6)
    log = replace(log, logging=probabilities, propensity=probabilities[log.logged])
    pair = (shown[:, None] * 6 + np.arange(6)).ravel()
    sizes = sizes_of(known, QUICK.model_copy(update={"max_uncovered": 0.01}), log.rows(shown), known.target[pair])
    needed = sizes.needed(FIRST_ALPHA)
    assert needed[0.0] is None and all(needed[share] > 0 for share in (0.05, 0.2))
    assert "no number of impressions logged like these" in sizes.sentence(FIRST_ALPHA)
    assert "explored uniformly" in sizes.sentence(FIRST_ALPHA)


def test_an_abstention_says_it_and_a_verdict_does_not():
    known = known_log(6, n=1500, click_rate=0.02)
    abstained = evaluate(known.log, known.target, QUICK)
    assert abstained.verdict == "abstain"
    assert abstained.to_dict()["reasons"][-1] == abstained.sample_sizes.sentence(FIRST_ALPHA)
    assert "a lift of +5%" in abstained.reasons[-1] and "times this log" in abstained.reasons[-1]
    assert min(n for n in abstained.sample_sizes.needed(FIRST_ALPHA).values()) > known.log.n
    assert (
        SampleSizes.from_dict(json.loads(json.dumps(abstained.sample_sizes.to_dict(), allow_nan=False)))
        == abstained.sample_sizes
    )
    trusted = evaluate(known_log(3).log, known_log(3).target, QUICK.model_copy(update={"clone_impressions": 2000}))
    assert trusted.verdict == "trust" and trusted.sample_sizes is None


def test_the_unit_of_the_reward_changes_nothing():
    known = known_log(6, n=1500, click_rate=0.02)
    cents = known.log.with_reward(100 * known.log.reward, (0.0, 100.0))
    assert sizes_of(known, log=cents).needed(FIRST_ALPHA) == sizes_of(known).needed(FIRST_ALPHA)


def test_a_log_with_nothing_to_go_by_says_so():
    known = known_log(5)
    silent = evaluate(known.log.with_reward(np.zeros(known.log.n), (0.0, 1.0)), known.target, QUICK)
    assert "is unknown" in silent.reasons[-1] and "until 100 impressions were rewarded" in silent.reasons[-1]


def test_a_target_that_chooses_like_the_baseline_has_nothing_to_prove():
    known = known_log(6, n=1500, click_rate=0.02)
    alike = evaluate(known.log, known.log.logging, QUICK)
    assert alike.sample_sizes is None and "both policies choose alike" in alike.reasons[-1]


def test_a_broken_log_is_to_be_mended_first():
    known = known_log(3, n=4000)
    wrong = replace(known.log, propensity=np.clip(known.log.propensity * 2, 0, 1), logging=None)
    broken = evaluate(wrong, known.target, QUICK)
    assert broken.verdict == "abstain" and broken.sample_sizes is None
    reasons = [reason for reason in broken.reasons if not reason.startswith("notice:")]
    assert "has to be corrected first" in reasons[-1]
