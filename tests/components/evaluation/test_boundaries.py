"""The planned boundary spends what it may, however often one looks, and steps back where its approximation fails."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm

from components.evaluation.gate.boundaries import ANYTIME_SHARE, Boundary, checkpoints, lower_bound, planned_lower
from components.evaluation.gate.evidence import GateEvidence, gate_evidence, gate_reasons
from components.evaluation.gate.ledger import Ledger
from components.evaluation.gate.lift_bound import SCALE_ROWS, LiftRows, Moments, lift_sums
from components.evaluation.logged_decisions import cover
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from components.settings.sections import PromotionConfig
from tests.components.evaluation.logs import known_log

ALPHA = 0.025


def two_actions(seed: int, n: int, lift: float = 0.0, rate: float = 0.05) -> LiftRows:
    """Two actions shown alike; the target prefers the first at 9 : 1; clicks with relative `lift`."""
    generator = np.random.default_rng(seed)
    first = generator.random(n) < 0.5
    click = generator.random(n) < rate * (1 + np.where(first, 1, -1) * lift / 0.8)
    return LiftRows.from_weights(np.where(first, 1.8, 0.2), np.ones(n), click.astype(float), 1.0, 1.8)


def test_the_planned_bound_by_hand():
    """400 judged rows with mean 0.1 and variance 0.04, a quarter of the plan: z / sqrt(1/4) standard errors of 0.01."""
    moments = Moments(500, 400, 40.0, 400 * (0.04 + 0.01), 0.5, 400.0, 1.0, 40.0, 1.0, 40)
    z = norm.isf((1 - ANYTIME_SHARE) * ALPHA / 2)
    assert planned_lower(moments, ALPHA, 2000) == pytest.approx(0.1 - 2 * z * 0.01)


def test_looking_often_spends_no_more_than_alpha():
    """One log in four is promoted at most at alpha 25 %; a z-test that looks as often is fooled far more often."""
    alpha, n, runs = 0.25, 5000, 400
    looks = np.arange(500, n + 1, 250)
    fooled, naive = 0, 0
    for seed in range(runs):
        sums = lift_sums(two_actions(seed, n, rate=0.3), looks)
        fooled += any(lower_bound(look, (), alpha, Boundary("planned", n)).value > 0 for look in sums)
        z = [look.moments.total / np.sqrt(look.moments.squares) for look in sums]
        naive += max(z) > norm.isf(alpha)
    assert binom.sf(fooled - 1, runs, alpha) > 0.001
    assert binom.sf(fooled - 1, runs, alpha / 3) < 0.001  # it does spend most of it
    assert binom.sf(naive - 1, runs, alpha) < 0.001


def test_rare_large_weights_of_the_baseline_do_not_fool_it_before_they_were_rewarded():
    """One impression in forty has weight 20 in the baseline. With few clicks the first logs hold none on such a row,
    and would look as if the target were surely better: a guard that reads only rewarded rows promotes 5 % of them."""
    runs, n, fooled = 300, 20_000, 0
    for seed in range(runs):
        generator = np.random.default_rng(seed)
        weight = np.where(generator.random(n) < 1 / 40, 20.0, 0.5 / 0.975)
        click = (generator.random(n) < 0.02).astype(float)
        sums = lift_sums(LiftRows.from_weights(np.ones(n), weight, click, 20.0, 1.0), np.arange(1000, n + 1, 1000))
        fooled += any(lower_bound(look, (), ALPHA, Boundary("planned", n)).value > 0 for look in sums)
    assert fooled <= 1  # none of 150 seeds at ten times this alpha either


def test_a_planned_last_look_sees_more_than_the_anytime_bound():
    n, planned, anytime = 50_000, 0, 0
    for seed in range(40):
        (sums,) = lift_sums(two_actions(seed, n, lift=0.05), np.array([n]))
        planned += lower_bound(sums, (), ALPHA, Boundary("planned", n)).value > 0
        anytime += lower_bound(sums, (), ALPHA).value > 0
    assert planned >= anytime + 6


def evidence_of(known, rows: int) -> GateEvidence:
    return gate_evidence(cover(known.log.rows(np.arange(rows)), known.target[: rows * 6], None), (), 0.0, 0.1)


def test_looks_after_the_planned_end_judge_the_log_as_it_stood_there():
    known = known_log(1, n=18_000, click_rate=0.2)
    boundary = Boundary("planned", 15_000)
    at_end, later = (evidence_of(known, rows) for rows in (15_000, 18_000))
    replayed = GateEvidence.from_dict(json.loads(json.dumps(later.to_dict(), allow_nan=False)))
    bounds = [lower_bound(evidence.sums, evidence.path, ALPHA, boundary) for evidence in (at_end, later, replayed)]
    assert bounds[0].value == pytest.approx(bounds[1].value, rel=1e-9) and bounds[1] == bounds[2]
    assert "after the planned end" in bounds[1].description and "after the planned end" not in bounds[0].description
    assert "15,000 of 15,000 planned impressions" in bounds[0].description
    assert gate_reasons(later, ALPHA, 0.0, boundary)[1][0].startswith("the lower bound of the lift at 15,000")


def test_few_rewards_or_one_heavy_row_fall_back_to_the_anytime_bound_in_words():
    boundary = Boundary("planned", 20_000)
    (few,) = lift_sums(two_actions(0, 1000), np.array([1000]))
    bound = lower_bound(few, (), ALPHA, boundary)
    assert bound.value == few.lower(ANYTIME_SHARE * ALPHA) < few.lower(ALPHA)
    assert (
        "rewarded impressions, below 100" in bound.description and "10% of the error probability" in bound.description
    )
    rows = two_actions(0, 20_000)
    weight = rows.baseline_weight.copy()
    weight[np.flatnonzero(rows.reward == 0)[-1]] = 30.0
    (heavy,) = lift_sums(replace(rows, baseline_weight=weight, scale=30.0), np.array([20_000]))
    assert "one impression can make up" in lower_bound(heavy, (), ALPHA, boundary).description


def test_a_last_look_can_be_planned_at_round_numbers():
    assert checkpoints(999).tolist() == []
    assert checkpoints(1250).tolist() == [1000, 1100, 1200]
    grid = checkpoints(1_000_000)
    assert grid[-1] == 1_000_000 and {9900, 10_000, 11_000, 470_000} <= set(grid.tolist()) and len(grid) == 271
    assert all(Boundary("planned", int(at)).planned == at for at in grid)
    assert grid[0] > SCALE_ROWS


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("promotion.boundary=planned",), ["promotion.planned_impressions", "500000"]),
        (("promotion.planned_impressions=500000",), ["promotion.planned_impressions", "promotion.boundary planned"]),
        (("promotion.boundary=planned", "promotion.planned_impressions=123456"), ["123456", "120000"]),
        (("promotion.boundary=planned", "promotion.planned_impressions=70"), ["70", "1000"]),
        (("promotion.boundary=sometimes",), ["promotion.boundary", "sometimes"]),
    ],
)
def test_a_plan_that_cannot_be_kept_is_named(overrides, words):
    with pytest.raises(UserError) as caught:
        load_settings(ROOT / "params.yaml", "marketplace", overrides)
    for word in words:
        assert word in str(caught.value)


def test_what_is_planned_is_part_of_the_question():
    planned = Boundary.of(PromotionConfig(boundary="planned", planned_impressions=500_000))
    assert Boundary.of(PromotionConfig()) == Boundary()
    first, ledger = Ledger(0.05).ask("new against old", planned)
    assert ledger.questions == ("new against old, planned for 500000 impressions",)
    assert ledger.ask("new against old", planned) == (first, ledger)
    assert ledger.ask("new against old")[0] < first
    with pytest.raises(ValueError, match="planned"):
        Boundary("planned")
