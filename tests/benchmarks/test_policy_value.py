"""The figures of the benchmark of policies, by hand."""

import numpy as np
import pytest

from benchmarks.policy_value import TrueValues, best_of, relative, summarise

OFFSETS = np.array([0, 2, 4])
VALUES = TrueValues(np.array([0.1, 0.3, 0.2, 0.4]), np.array([0.01, 0.06, 0.04, 0.02]), OFFSETS)


def test_values_of_a_policy_are_means_over_impressions():
    values = VALUES(np.array([0.5, 0.5, 0.0, 1.0]))
    assert values["ctr"] == pytest.approx((0.2 + 0.4) / 2)
    assert values["per_impression"] == pytest.approx((0.035 + 0.02) / 2)
    assert values["cvr"] == pytest.approx(0.0275 / 0.3)


def test_the_best_choice_shares_ties():
    assert best_of(np.array([0.1, 0.3, 0.2, 0.2]), OFFSETS).tolist() == [0.0, 1.0, 0.5, 0.5]


def test_costs_per_conversion_fall_as_conversions_rise():
    """Twice the clicks, of which half as many convert: by impressions the same cost, by clicks twice the cost."""
    before, after = (
        {"ctr": 0.01, "cvr": 0.1, "per_impression": 0.001},
        {"ctr": 0.02, "cvr": 0.05, "per_impression": 0.001},
    )
    assert relative(after, before) == pytest.approx({"ctr": 1.0, "cvr": -0.5, "cpm": 0.0, "cpc": 1.0})


def test_the_summary_counts_intervals_that_hold_the_truth_and_bounds_above_zero():
    def policy(truly: float, lift: list[float] | None, bound: float | None) -> dict:
        values = {"ctr": 0.02, "cvr": 0.1, "per_impression": 0.002, "share": 0.5}
        against = {"clicks": 40, "uniform": {"ctr": [0.9, 0.5, 1.5], "cvr": [0.2, 0.1, 0.3], "cpm": None}}
        return {
            **values,
            "verdict": "trust",
            "true_lift": truly,
            "lift": lift,
            "bound": bound,
            "off_policy": against,
        }

    uniform = {"ctr": 0.01, "cvr": 0.1, "per_impression": 0.001, "share": 0.0}
    rows = [
        {"policies": {"uniform": uniform, "softmax table": policy(1.0, [1.2, 0.5, 2.0], 0.1)}},
        {"policies": {"uniform": uniform, "softmax table": policy(3.0, [1.2, 0.5, 2.0], -0.1)}},
        {"policies": {"uniform": uniform, "softmax table": policy(1.0, None, None)}},
    ]
    summary = summarise(rows)["softmax table"]
    assert (summary["trusted"], summary["covered"], summary["passed"]) == (2, 1, 1)
    assert summary["off_policy"] == {"intervals": 6, "held": 3}  # the CTR is truly doubled, the CVR the same
    assert summary["share"] == 0.5 and summary["to_uniform"]["ctr"] == pytest.approx(1.0)
