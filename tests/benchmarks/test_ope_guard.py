"""The planted annoyance is what it says, and the guard refuses it and not its absence."""

import numpy as np
import pytest

from benchmarks.ope_guard import SHARE, Plant, annoyed, first_rows, plant, refused, unannoyed
from benchmarks.ope_logs import JUDGES, draw_rows
from components.datasets.fashion_mnist import load_photos
from components.policies.ragged_rows import row_sums
from components.settings.sections import EvaluationConfig, SimulatorConfig
from components.simulator import load_scenario
from components.simulator import vocabulary as words
from components.simulator.click_law import ill_feedback_probability
from components.simulator.market import open_market

OFTEN = {"hide": 0.02, "report": 0.01}  # ten times and more the default rates, so that a small log is enough


@pytest.fixture(scope="module")
def shop():
    scenario = load_scenario("baseline")
    scenario = scenario.model_copy(update={"feedback": scenario.feedback.model_copy(update=OFTEN)})
    config = SimulatorConfig(shoppers=2000, campaigns=4, impressions=60_000, seed=11)
    market = open_market(config, scenario, load_photos().head(2000, 300))
    rows = draw_rows(market, JUDGES)
    return market, rows, unannoyed(market, rows)


@pytest.mark.parametrize("kind", [Plant(0.1, 1.5), Plant(1.0, 6.0), Plant(3.0, 30.0)])
def test_a_plant_worsens_ill_feedback_by_what_it_says(kind, shop):
    market, rows, even = shop
    planted = plant(market, rows, even, kind, seed=0)
    log, logging = planted.log, planted.log.logging
    np.testing.assert_allclose(row_sums(planted.target, log.offsets), 1.0)
    assert planted.worsening == pytest.approx(kind.worsening, abs=1e-6)
    # the truth is the law's, with the factor in it from the start, and what was drawn agrees with it
    np.testing.assert_allclose(
        planted.ill, ill_feedback_probability(annoyed(market.law, kind.annoyance), market.traits, rows.at), rtol=1e-12
    )
    expected = row_sums(planted.ill * logging, log.offsets).sum()
    assert abs(planted.negative.sum() - expected) < 4 * np.sqrt(expected)
    # and weighting the log by the policy finds the policy's own rate, within 4 standard errors
    weighted = log.weight(planted.target) * planted.negative
    gap = weighted.mean() - row_sums(planted.ill * planted.target, log.offsets).mean()
    assert abs(gap) < 4 * weighted.std() / np.sqrt(log.n)


def test_without_annoyance_the_policy_still_moves(shop):
    market, rows, even = shop
    planted = plant(market, rows, even, Plant(0.0, 1.0), seed=0)
    styled = market.traits.headline[planted.log.action] == words.CLICKBAIT
    assert row_sums(planted.target * styled, planted.log.offsets).mean() == pytest.approx(SHARE, abs=1e-6)
    assert abs(planted.worsening) < 0.01


def test_the_guard_refuses_planted_annoyance_and_nothing_else(shop):
    market, rows, even = shop
    config = EvaluationConfig(bootstrap=300)
    verdicts = {
        kind: refused(plant(market, rows, even, kind, seed=1), config)
        for kind in (Plant(0.0, 1.0), Plant(0.1, 6.0), Plant(1.0, 6.0), Plant(3.0, 30.0))
    }
    assert verdicts == {Plant(0.0, 1.0): False, Plant(0.1, 6.0): False, Plant(1.0, 6.0): True, Plant(3.0, 30.0): True}


def test_first_rows_are_a_log_of_their_own(shop):
    _, rows, _ = shop
    few = first_rows(rows, 500)
    assert few.log.n == 500 and few.log.cluster.max() + 1 == len(np.unique(rows.log.cluster[:500]))
    assert len(few.rate) == few.log.offsets[-1] == len(few.at.creative)
    np.testing.assert_array_equal(few.at.creative, few.log.action)
