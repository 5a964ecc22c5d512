"""Which temperature: by hand, and that outcomes of judged rows have no say."""

import numpy as np
import pytest
from scipy.stats import norm

from components.policies.temperature import (
    NEEDED_ERRORS,
    PRIOR_ERROR,
    PRIOR_SLOPE,
    LiftForecast,
    LoggedOutcomes,
    advantage_slope,
    best_temperature,
    forecast_lifts,
)


def outcomes(judged: int, unlogged_share: float = 0.0, baseline=None) -> LoggedOutcomes:
    """Two impressions of two creatives each, q 10 % and 20 %, shown evenly; the first was shown, then the second."""
    return LoggedOutcomes(
        score=np.array([0.1, 0.2, 0.1, 0.2]),
        offsets=np.array([0, 2, 4]),
        logged=np.array([0, 3]),
        propensity=np.array([0.5, 0.5]),
        reward=np.array([0.0, 1.0]),
        logging=None,
        baseline=baseline,
        unlogged_share=np.full(2, unlogged_share),
        judged=judged,
    )


def test_a_prospect_by_hand():
    policy = np.array([0.25, 0.75, 0.25, 0.75])
    (forecast,) = forecast_lifts({0.1: policy}, outcomes(100))
    slope, slope_error = advantage_slope(outcomes(100))
    predicted_lift = 0.25 * 0.1 + 0.75 * 0.2 - 0.15
    assert forecast.lift == pytest.approx(slope * predicted_lift)
    variance = ((0.5 - 1) ** 2 * 0.09 + (1.5 - 1) ** 2 * 0.16) / 2
    assert forecast.standard_error == pytest.approx(np.sqrt(variance / 100))
    z = forecast.lift / forecast.standard_error - NEEDED_ERRORS
    assert forecast.chance == pytest.approx(
        norm.cdf(z / np.hypot(1, slope_error * predicted_lift / forecast.standard_error))
    )


def test_the_slope_by_hand():
    """Advantages -0.05 and +0.05, rewards less the usual -0.15 and 0.85: 0.05 over 0.005, averaged with the prior."""
    measured = 10.0
    precision = 0.005**2 / (0.05**2 * (0.15**2 + 0.85**2))
    prior = 1 / PRIOR_ERROR**2
    slope, error = advantage_slope(outcomes(100))
    assert slope == pytest.approx((prior * PRIOR_SLOPE + precision * measured) / (prior + precision))
    assert error == pytest.approx(1 / np.sqrt(prior + precision))


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0])
def test_the_slope_tells_how_much_of_a_predicted_difference_is_real(truth):
    generator = np.random.default_rng(1)
    n, k = 400_000, 5
    advantage = generator.normal(0, 0.02, (n, k))
    advantage -= advantage.mean(axis=1, keepdims=True)
    shown = generator.integers(0, k, n)
    rate = 0.1 + truth * advantage[np.arange(n), shown]
    reward = (generator.random(n) < rate).astype(float)
    offsets = np.arange(0, n * k + 1, k)
    score = (0.1 + advantage).ravel()
    rows = LoggedOutcomes(score, offsets, offsets[:-1] + shown, np.full(n, 1 / k), reward, None, None, np.zeros(n), 1)
    slope, error = advantage_slope(rows)
    assert error < 0.04 and abs(slope - truth) < 4 * error


def test_the_share_of_new_creatives_is_charged_and_a_champion_is_what_is_beaten():
    policy = np.array([0.25, 0.75, 0.25, 0.75])
    (charged,) = forecast_lifts({0.1: policy}, outcomes(100, unlogged_share=0.1))
    slope, _ = advantage_slope(outcomes(100))
    assert charged.lift == pytest.approx(slope * (0.175 - 0.15) - 0.1 * 0.175)
    (against,) = forecast_lifts({0.1: policy}, outcomes(100, baseline=policy))
    assert against.lift == pytest.approx(0.0) and against.chance < 0.01


def test_the_boldest_that_can_be_proven_is_chosen():
    timid, bold = LiftForecast(0.1, 0.001, 0.0002, 0.9), LiftForecast(0.02, 0.003, 0.001, 0.2)
    assert best_temperature((bold, timid)) == 0.1
    assert best_temperature((LiftForecast(0.02, 0.003, 0.001, 0.5), timid)) == 0.02
    assert best_temperature((LiftForecast(0.02, -0.003, 0.001, 0.0), LiftForecast(0.1, -0.001, 0.001, 0.0))) == 0.1


def test_more_rows_to_judge_make_it_bolder():
    generator = np.random.default_rng(0)
    n, k = 2000, 5
    score = np.clip(generator.normal(0.02, 0.003, n * k), 0.005, None)
    offsets = np.arange(0, n * k + 1, k)
    logged = offsets[:-1] + generator.integers(0, k, n)
    candidates = {}
    for temperature in (0.02, 0.1, 0.5):
        weight = np.exp(np.log(score) / temperature).reshape(n, k)
        candidates[temperature] = (weight / weight.sum(axis=1, keepdims=True)).ravel()
    chosen = [
        best_temperature(
            forecast_lifts(
                candidates,
                LoggedOutcomes(
                    score, offsets, logged, np.full(n, 1 / k), score[logged], None, None, np.zeros(n), judged
                ),
            )
        )
        for judged in (20_000, 10_000_000)
    ]
    assert chosen[0] > chosen[1] == 0.02
