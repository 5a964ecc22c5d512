"""Choose a policy's temperature: the one with the largest lift times chance that the gate proves it.

The choice uses the select split. The interest model predicts each candidate policy's lift L over the baseline. It
overestimates the creatives that it scores highest, so L is multiplied by the slope s of rewards on the predicted
advantages:

    s = sum_i a_i (r_i - m_i) / sum_i a_i^2,      a_i = q_i(shown) - m_i,   m_i = sum_a p(a | x_i) q_i(a)            (1)

where p is the logging distribution. The split has few rewards, so s is averaged with a prior, each weighted by its
precision. A candidate's importance weights determine the precision of its evaluation: on n judged rows the estimate of
its lift has standard error sigma / sqrt(n), and with standard error d of s the chance that the gate proves the lift is

    sigma^2 = E[(w - b)^2 q (1 - q)],   chance = Phi((s z - NEEDED_ERRORS) / sqrt(1 + (d z)^2)),   z = L sqrt(n) / sigma

where w and b are the importance weights of candidate and baseline. A lower temperature has a larger predicted lift and
a smaller chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from components.policies.ragged_rows import row_sums, spread

NEEDED_ERRORS = (
    3.2  # standard errors that the anytime-valid bound needs, about, at the ledger's first error probability
)
# prior of the slope (1): of a difference that models of rare clicks predict, about half is real
PRIOR_SLOPE, PRIOR_ERROR = 0.6, 0.2


@dataclass(frozen=True)
class LiftForecast:
    """Forecast of one temperature: lift per impression, standard error of its estimate, chance of being proven."""

    temperature: float
    lift: float
    standard_error: float
    chance: float


@dataclass(frozen=True)
class LoggedOutcomes:
    """Expected and realised rewards of n logged impressions on the select split, pairs grouped by impression.

    score: float64 [n_pairs], q. offsets: int64 [n + 1]. logged: int64 [n], the pair shown. propensity: float64 [n]; NaN
    if it was not logged. reward: float64 [n]. logging: float64 [n_pairs]; None: only the shown propensity is known.
    baseline: float64 [n_pairs]; None: the logging policy. unlogged_share: float64 [n], share of each impression that
    goes to creatives absent from the log and counts as earning nothing. judged: number of impressions that will judge
    the policy. size: float64 [n_pairs], what an impression earns if it earns anything; None: 1.
    """

    score: np.ndarray
    offsets: np.ndarray
    logged: np.ndarray
    propensity: np.ndarray
    reward: np.ndarray
    logging: np.ndarray | None
    baseline: np.ndarray | None
    unlogged_share: np.ndarray
    judged: int
    size: np.ndarray | None = None


def forecast_lifts(candidates: Mapping[float, np.ndarray], outcomes: LoggedOutcomes) -> tuple[LiftForecast, ...]:
    """The forecasts of `candidates` (temperature -> probabilities float64 [n_pairs] on the select split), in order."""
    slope, error = advantage_slope(outcomes)
    return tuple(
        _forecast_lift(temperature, policy, outcomes, slope, error) for temperature, policy in candidates.items()
    )


def advantage_slope(outcomes: LoggedOutcomes) -> tuple[float, float]:
    """The slope of equation (1) averaged with its prior, at least 0; and its standard error."""
    counts = np.diff(outcomes.offsets)
    logging = 1.0 / spread(counts, outcomes.offsets) if outcomes.logging is None else outcomes.logging
    mean_score = row_sums(logging * outcomes.score, outcomes.offsets)
    advantage, residual = outcomes.score[outcomes.logged] - mean_score, outcomes.reward - mean_score
    sum_of_squares = float((advantage**2).sum())
    if sum_of_squares == 0:
        return PRIOR_SLOPE, PRIOR_ERROR
    measured = float((advantage * residual).sum()) / sum_of_squares
    precision = sum_of_squares**2 / max(float((advantage**2 * residual**2).sum()), 1e-300)
    prior = 1 / PRIOR_ERROR**2
    slope = (prior * PRIOR_SLOPE + precision * measured) / (prior + precision)
    return max(slope, 0.0), float(1 / np.sqrt(prior + precision))


def best_temperature(forecasts: tuple[LiftForecast, ...]) -> float:
    """The temperature with the largest lift x chance; if no lift is positive, the one with the largest lift."""
    positive = [forecast for forecast in forecasts if forecast.lift > 0]
    if not positive:
        return max(forecasts, key=lambda forecast: forecast.lift).temperature
    return max(positive, key=lambda forecast: forecast.lift * forecast.chance).temperature


def _forecast_lift(
    temperature: float, policy: np.ndarray, outcomes: LoggedOutcomes, slope: float, slope_error: float
) -> LiftForecast:
    shown = outcomes.score[outcomes.logged]
    # a log without propensities judges no policy; to choose a temperature all the same, it counts as uniform
    propensity = np.where(np.isnan(outcomes.propensity), 1.0 / np.diff(outcomes.offsets), outcomes.propensity)
    policy_weight = policy[outcomes.logged] / propensity * (1 - outcomes.unlogged_share)
    baseline_weight = (
        np.ones(len(shown)) if outcomes.baseline is None else outcomes.baseline[outcomes.logged] / propensity
    )
    policy_reward = row_sums(policy * outcomes.score, outcomes.offsets)
    baseline_reward = (
        shown if outcomes.baseline is None else row_sums(outcomes.baseline * outcomes.score, outcomes.offsets)
    )
    predicted_lift, charged_reward = (
        float((policy_reward - baseline_reward).mean()),
        float((outcomes.unlogged_share * policy_reward).mean()),
    )
    lift = slope * predicted_lift - charged_reward
    size = 1.0 if outcomes.size is None else outcomes.size[outcomes.logged]
    variance = float(((policy_weight - baseline_weight) ** 2 * shown * (size - shown)).mean())
    error = float(np.sqrt(max(variance, 1e-30) / max(outcomes.judged, 1)))
    widening = np.hypot(1.0, slope_error * predicted_lift / error)
    return LiftForecast(temperature, lift, error, float(norm.cdf((lift / error - NEEDED_ERRORS) / widening)))
