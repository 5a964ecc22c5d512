"""An evaluation trusts what it can carry, refuses the rest in words, and writes the JSON that is promised."""

import json
from dataclasses import replace

import numpy as np
import pytest

from components.evaluation import evaluate
from components.evaluation.estimators.estimators import (
    ESTIMATORS,
    Contributions,
    Estimator,
    FiniteBound,
    ModelUse,
    WeightedRows,
)
from components.evaluation.intervals.finite_sample_bounds import finite_sample
from components.evaluation.logged_decisions import pairs_of
from components.policies import Choices, Uniform
from components.settings.sections import EvaluationConfig
from tests.components.evaluation.logs import known_log

QUICK = EvaluationConfig(bootstrap=200, clones=4, clone_impressions=2000, reward_models=(), min_ess=300.0)
KEYS = {
    "n", "baseline", "estimates", "selected", "lift", "relative_lift", "uncovered", "verdict", "reasons",
}  # fmt: skip


def test_a_good_log_is_trusted_and_the_truth_is_inside():
    known = known_log(1, n=6000)
    evaluation = evaluate(known.log, known.target, QUICK)
    assert evaluation.verdict == "trust" and evaluation.selected in ESTIMATORS
    chosen = evaluation.estimate(evaluation.selected).interval
    assert chosen.ci_low <= known.truth(known.target) <= chosen.ci_high
    true_lift = known.truth(known.target) - known.truth(known.log.logging)
    assert evaluation.lift.ci_low <= true_lift <= evaluation.lift.ci_high and evaluation.lift.ci_low > 0
    assert evaluation.relative_lift.value == pytest.approx(evaluation.lift.value / evaluation.baseline.value)


def test_json_is_exactly_what_is_promised():
    known = known_log(2)
    written = evaluate(known.log, known.target, QUICK).to_dict()
    again = json.loads(json.dumps(written, allow_nan=False))
    assert set(again) == KEYS and set(again["baseline"]) == {"value", "ci_low", "ci_high"}
    assert [estimate["estimator"] for estimate in again["estimates"]] == list(ESTIMATORS)
    expected = {"estimator", "value", "ci_low", "ci_high", "ess", "max_weight"}
    assert all(set(estimate) == expected for estimate in again["estimates"])
    assert again["reasons"] and all(isinstance(reason, str) for reason in again["reasons"])


def test_the_same_policy_has_no_lift():
    known = known_log(3)
    evaluation = evaluate(known.log, known.log.logging, QUICK)
    ips = evaluation.estimate("ips").interval
    assert ips.value == pytest.approx(known.log.reward.mean())
    assert evaluation.lift.ci_low <= 0 <= evaluation.lift.ci_high


def test_against_a_champion_the_interval_is_paired():
    known = known_log(4)
    champion = Uniform().probabilities(Choices(known.log.offsets, known.target))
    evaluation = evaluate(known.log, known.target, QUICK, baseline=champion)
    true_lift = known.truth(known.target) - known.truth(champion)
    assert evaluation.lift.ci_low <= true_lift <= evaluation.lift.ci_high
    itself = evaluate(known.log, known.target, QUICK, baseline=known.target)
    assert itself.lift is None or itself.lift.value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("rows", "words"), [(1, "1 impressions"), (10, "10 impressions")])
def test_too_few_rows_give_no_number(rows, words):
    known = known_log(5)
    few = np.arange(rows)
    evaluation = evaluate(known.log.rows(few), known.target[: known.log.offsets[rows]], QUICK)
    assert_no_number(evaluation, words)


def test_no_reward_gives_no_number():
    known = known_log(5)
    evaluation = evaluate(known.log.with_reward(np.zeros(known.log.n), (0.0, 1.0)), known.target, QUICK)
    assert_no_number(evaluation, "every reward is 0")


def test_one_action_gives_no_number():
    known = known_log(5, actions=1, eligible=1)
    assert_no_number(evaluate(known.log, known.target, QUICK), "one action")


def assert_no_number(evaluation, words: str) -> None:
    written = evaluation.to_dict()
    assert written["verdict"] == "abstain" and words in written["reasons"][0]
    assert written["selected"] is None and written["lift"] is None and written["baseline"]["value"] is None
    assert all(estimate["value"] is None for estimate in written["estimates"])


def test_few_clicks_abstain_but_show_what_there_is():
    known = known_log(6, n=1500, click_rate=0.02)
    evaluation = evaluate(known.log, known.target, QUICK)
    assert evaluation.verdict == "abstain" and evaluation.lift is None
    assert any("rewarded impressions" in reason for reason in evaluation.reasons)
    assert evaluation.estimate("ips").interval is not None


def test_a_hardly_overlapping_target_abstains():
    known = known_log(7, sharpness=12.0)
    worst = (known.log.logging == np.repeat(known.log.logging.reshape(-1, 6).min(axis=1), 6)).astype(float)
    worst = worst / np.repeat(worst.reshape(-1, 6).sum(axis=1), 6)
    evaluation = evaluate(known.log, worst, EvaluationConfig(bootstrap=100, clones=2, reward_models=()))
    assert evaluation.verdict == "abstain"
    assert any("effective sample size" in reason for reason in evaluation.reasons)


def test_actions_never_logged_are_removed_and_counted():
    known = known_log(8)
    shown = known.log.action != 0
    rows = np.flatnonzero(known.log.action[known.log.logged] != 0)
    log = replace(known.log, logging=None).rows(rows)
    rest = np.add.reduceat(np.where(shown, known.log.logging, 0.0), known.log.offsets[:-1])[rows]
    log = replace(log, propensity=log.propensity / rest)  # what it is, given that action 0 is not shown
    target = known.target[pairs_of(known.log.offsets, rows)]
    lost = 1 - np.add.reduceat(target * shown[pairs_of(known.log.offsets, rows)], log.offsets[:-1]).mean()
    evaluation = evaluate(log, target, QUICK)
    assert evaluation.uncovered == pytest.approx(lost) and lost > 0.02
    strict = EvaluationConfig(bootstrap=100, clones=2, clone_impressions=500, reward_models=(), max_uncovered=0.01)
    assert "never shows" in evaluate(log, target, strict).reasons[0]


def test_repeats_itself():
    known = known_log(9)
    assert evaluate(known.log, known.target, QUICK).to_dict() == evaluate(known.log, known.target, QUICK).to_dict()


def test_reward_range_scales_everything():
    known = known_log(10)
    cents = evaluate(known.log.with_reward(100 * known.log.reward, (0.0, 100.0)), known.target, QUICK)
    ones = evaluate(known.log, known.target, QUICK)
    for name in ESTIMATORS:
        assert cents.estimate(name).interval.value == pytest.approx(100 * ones.estimate(name).interval.value, rel=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_finite_sample_intervals_hold_whatever_the_model_is_worth(name):
    """A model that is wrong by half of all rewards, and an embedding that says nothing, move no such interval away."""
    known = known_log(6, n=3000)
    wild = np.random.default_rng(0).random(len(known.target))
    rows = WeightedRows(
        weight=known.log.weight(known.target),
        reward=known.log.reward,
        predicted=wild[known.log.logged],
        predicted_target=known.log.expected(wild, known.target),
        marginal_weight=np.ones(known.log.n),
    )
    fold = known.log.cluster % 3
    low, high = finite_sample(name, rows, 1.0, fold, (0.0, 1.0))
    assert low <= known.truth(known.target) <= high < 1.0
    better = replace(rows, reward=np.ones(known.log.n))
    assert finite_sample(name, better, 1.0, fold, (0.0, 1.0))[0] > high, "where all earn 1, the bounds must see it"


def test_one_shopper_with_many_rows_abstains_above_the_limit():
    known = known_log(1, n=6000)
    cluster = np.where(np.arange(6000) % 8 == 0, 0, known.log.cluster + 1)
    log = replace(known.log, cluster=np.unique(cluster, return_inverse=True)[1])
    evaluation = evaluate(log, known.target, QUICK)
    assert evaluation.verdict == "abstain" and "one shopper has 12.5% of the impressions" in evaluation.reasons[0]
    assert evaluate(log, known.target, QUICK.model_copy(update={"max_shopper_share": 0.2})).verdict == "trust"


def test_propensities_that_nothing_checks_are_told_of_beside_a_verdict():
    """The marketplace form, candidates known, has nothing to tell; the shown propensity alone has."""
    known = known_log(1, n=6000)
    whole = evaluate(known.log, known.target, QUICK)
    shown = evaluate(replace(known.log, logging=None), known.target, QUICK)
    assert whole.verdict == shown.verdict == "trust"
    assert not any(reason.startswith("notice:") for reason in whole.reasons)
    assert any(reason.startswith("notice: propensities could be checked in one") for reason in shown.reasons)


def test_an_estimator_of_ones_own_is_one_function_and_one_line(monkeypatch):
    """Half of the direct method and half of DR: it is tuned, bounded in both ways, and may be chosen."""

    def blend(rows: WeightedRows, shrinkage: float) -> Contributions:
        weight = rows.weight * shrinkage / (rows.weight + shrinkage) if np.isfinite(shrinkage) else rows.weight
        residual = weight * (rows.reward - rows.predicted)
        residual = residual if rows.model_error is None else residual + rows.model_error(weight)
        return Contributions(rows.predicted_target, residual, np.ones_like(weight), weight)

    known = known_log(2)
    before = evaluate(known.log, known.target, QUICK)
    record = Estimator(blend, ModelUse.MEAN, FiniteBound.RESIDUALS, lambda cuts: np.append(cuts, np.inf))
    monkeypatch.setitem(ESTIMATORS, "blend", record)
    evaluation = evaluate(known.log, known.target, QUICK)
    estimate, truth = evaluation.estimate("blend"), known.truth(known.target)
    assert estimate.interval.ci_low < truth < estimate.interval.ci_high
    assert (
        estimate.finite_sample.ci_low < estimate.interval.ci_low
        and estimate.finite_sample.ci_high > estimate.interval.ci_high
    )
    assert estimate.shrinkage is not None and estimate.ess > 100
    assert "blend" in {expected.estimator for expected in evaluation.card.expected}
    assert evaluation.to_dict()["estimates"][-1]["estimator"] == "blend"
    for name in set(ESTIMATORS) - {"blend"}:
        assert evaluation.estimate(name) == before.estimate(name)
    mild = replace(record, contributions=lambda rows, shrinkage: blend(rows, np.inf), shrinkages=None)
    monkeypatch.setitem(ESTIMATORS, "blend", mild)
    plain = evaluate(known.log, known.target, QUICK)
    dr = plain.estimate("dr")
    assert plain.estimate("blend").interval.value == pytest.approx(dr.interval.value)
    assert plain.estimate("blend").finite_sample.ci_low == pytest.approx(dr.finite_sample.ci_low, abs=0.02)


def test_a_log_without_propensities_is_advised_to_log_them_and_does_not_contradict_itself():
    known = known_log(0, n=3000)
    log = replace(known.log, propensity=np.full(known.log.n, np.nan), logging=None)
    reasons = " ".join(evaluate(log, known.target, QUICK).reasons)
    assert "the log has no propensities" in reasons and "log with each impression the probability" in reasons
    assert "contradicts itself" not in reasons
