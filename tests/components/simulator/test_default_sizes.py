from statistics import NormalDist

import numpy as np
import pytest

from components.settings.sections import SimulatorConfig
from components.simulator.default_sizes import (
    detectable_lift,
    impressions_needed,
    power,
    relative_standard_error,
)


def test_the_formula_is_the_spread_of_simulated_estimates():
    rng = np.random.default_rng(0)
    n, click_rate = 20_000, 0.02
    weights = rng.choice([0.2, 1.0, 3.0], size=(400, n), p=[0.5, 0.25, 0.25])  # mean 1.1
    weights = weights / weights.mean()
    clicks = rng.random((400, n)) < click_rate
    lifts = ((weights - 1) * clicks).mean(axis=1) / click_rate
    expected = relative_standard_error(n, click_rate, ((weights - 1) ** 2).mean())
    # 400 estimates: the standard deviation is known to 3.5 %, so four errors are 14 %.
    assert lifts.std() == pytest.approx(expected, rel=0.14)


def test_power_is_what_detectable_lift_promises():
    assert power(detectable_lift(0.03, 0.8), 0.03) == pytest.approx(0.8)
    assert power(1e-9, 0.03) == pytest.approx(0.025)
    needed = impressions_needed(0.1, 0.02, 4.0)
    assert detectable_lift(relative_standard_error(needed, 0.02, 4.0)) == pytest.approx(0.1, rel=1e-3)


def test_the_default_marketplace_carries_a_lift_that_can_be_learned_past_the_gate():
    """55 % of the log judges; chi2 0.3 and +2.9 % are the learned policy's (module docstring)."""
    judged = 0.55 * SimulatorConfig().impressions
    error = relative_standard_error(judged, 0.02, 0.3)
    gate = 2 * NormalDist().cdf(-3.7)  # the level of a test whose bound lies 3.7 standard errors below
    assert error == pytest.approx(0.0067, abs=0.0002)
    assert power(0.029, error, gate) == pytest.approx(0.72, abs=0.05)
    assert power(0.029, error * np.sqrt(3), gate) < 0.2  # a third of the impressions would not do
    assert power(0.029, error / np.sqrt(5 / 3), gate) > 0.95  # a million impressions would make it certain
