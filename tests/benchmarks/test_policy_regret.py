"""The figures of the benchmark of acting policies, by hand."""

import pytest

from benchmarks.policy_regret import LAST, LOGGING, _overrides, summarise

OPTIONS = {"density": 0.25, "refit": 7, "days": 30, "overrides": ["simulator.shoppers=100"]}


def day(shown: float, conversions: float = 0.001) -> dict[str, float]:
    others = {"uniform_ctr": 0.01, "oracle_ctr": 0.02, "uniform_conversions": 0.001, "oracle_conversions": 0.002}
    return {"shown_ctr": shown, "shown_conversions": conversions, **others}


def test_the_last_days_count_and_seeds_are_averaged():
    rows = [
        {
            "scenario": "baseline",
            "seed": 1,
            "policy": "p",
            "cpu_seconds": 10,
            "days": [day(0.02)] + LAST * [day(0.013)],
        },
        {
            "scenario": "baseline",
            "seed": 2,
            "policy": "p",
            "cpu_seconds": 20,
            "days": [day(0.01), day(0.013), day(0.015), day(0.017, 0.004)],
        },
    ]
    (mean,) = summarise(rows)
    assert mean["shares"] == pytest.approx([0.3, 0.5]) and mean["share"] == pytest.approx(0.4)
    assert mean["ctr"] == pytest.approx(0.4) and mean["conversions"] == pytest.approx(0.5)
    assert (mean["seeds"], mean["cpu_seconds"]) == (2, 15)


def test_a_shop_begins_with_the_days_before_the_first_refit_and_the_policy_is_named():
    overrides = _overrides("clickbait", 31, "rules/per_shopper", OPTIONS)
    assert "simulator.impressions=36750" in overrides and "simulator.days=7" in overrides
    assert "evaluation.policy.name=rules" in overrides and overrides[-1] == "simulator.shoppers=100"
    assert not any("policy.name" in one for one in _overrides("clickbait", 31, LOGGING, OPTIONS))
