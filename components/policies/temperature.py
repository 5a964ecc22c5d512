"""How boldly a policy should choose: the temperature whose lift, times its chance of being proven, is the largest.

Chosen on the select slice. For each candidate policy the model of interest predicts its lift L over the baseline. A
model flatters what it likes best, so L is multiplied by the slope s of rewards on the advantages that it predicts:

    s = sum_i a_i (r_i - m_i) / sum_i a_i^2,      a_i = q_i(shown) - m_i,   m_i = sum_a p(a | x_i) q_i(a)            (1)

p being the logging distribution. A slice has few rewards, so s is averaged with a prior, each weighed by its precision.
The weights of a candidate say how sure the judged rows can be: with n of them the estimate of its lift has standard
error sigma / sqrt(n), and, s being uncertain by d, the chance that the gate sees it is

    sigma^2 = E[(w - b)^2 q (1 - q)],      chance = Phi((s z - NEEDED) / sqrt(1 + (d z)^2)),   z = L sqrt(n) / sigma

w and b being the importance weights of candidate and baseline. A bolder policy promises more and proves less.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from components.policies.ragged_rows import row_sums, spread

NEEDED = 3.2  # standard errors that the anytime-valid bound asks for, about, at the ledger's first error probability
# of the slope (1) before any reward is seen: models of rare clicks tell about half of a difference that they predict
PRIOR_SLOPE, PRIOR_ERROR = 0.6, 0.2


@dataclass(frozen=True)
class Prospect:
    """What one temperature promises: predicted lift per impression, the error of its estimate, chance to be proven."""

    temperature: float
    lift: float
    standard_error: float
    chance: float


@dataclass(frozen=True)
class Outcome:
    """The select slice as prospects need it, its impressions' pairs grouped.

    score: float64 [n_pairs], q. offsets: int64 [n + 1]. logged: int64 [n], the pair shown. propensity, reward: float64
    [n]. logging: float64 [n_pairs], or None: only the shown propensity is known. baseline: float64 [n_pairs], or None:
    the logging policy. charge: float64 [n], share of each impression that goes to creatives that no log speaks of,
    earning nothing. judged: how many impressions will judge.
    """

    score: np.ndarray
    offsets: np.ndarray
    logged: np.ndarray
    propensity: np.ndarray
    reward: np.ndarray
    logging: np.ndarray | None
    baseline: np.ndarray | None
    charge: np.ndarray
    judged: int


def prospects(candidates: Mapping[float, np.ndarray], seen: Outcome) -> tuple[Prospect, ...]:
    """Temperature -> probabilities float64 [n_pairs] on the select slice; their prospects, in the same order."""
    slope, error = advantage_slope(seen)
    return tuple(_prospect(temperature, policy, seen, slope, error) for temperature, policy in candidates.items())


def advantage_slope(seen: Outcome) -> tuple[float, float]:
    """Equation (1) averaged with its prior, at least 0, and its standard error."""
    counts = np.diff(seen.offsets)
    logging = 1.0 / spread(counts, seen.offsets) if seen.logging is None else seen.logging
    usual = row_sums(logging * seen.score, seen.offsets)
    ahead, surprise = seen.score[seen.logged] - usual, seen.reward - usual
    spread_of = float((ahead**2).sum())
    if spread_of == 0:
        return PRIOR_SLOPE, PRIOR_ERROR
    measured = float((ahead * surprise).sum()) / spread_of
    precision = spread_of**2 / max(float((ahead**2 * surprise**2).sum()), 1e-300)
    prior = 1 / PRIOR_ERROR**2
    slope = (prior * PRIOR_SLOPE + precision * measured) / (prior + precision)
    return max(slope, 0.0), float(1 / np.sqrt(prior + precision))


def boldest(offered: tuple[Prospect, ...]) -> float:
    """The temperature with the largest lift x chance; where none promises a lift, the one that loses least."""
    hopeful = [each for each in offered if each.lift > 0]
    if not hopeful:
        return max(offered, key=lambda each: each.lift).temperature
    return max(hopeful, key=lambda each: each.lift * each.chance).temperature


def _prospect(temperature: float, policy: np.ndarray, seen: Outcome, slope: float, slope_error: float) -> Prospect:
    shown = seen.score[seen.logged]
    ahead = policy[seen.logged] / seen.propensity * (1 - seen.charge)
    behind = np.ones(len(shown)) if seen.baseline is None else seen.baseline[seen.logged] / seen.propensity
    earned = row_sums(policy * seen.score, seen.offsets)
    against = shown if seen.baseline is None else row_sums(seen.baseline * seen.score, seen.offsets)
    promised, charged = float((earned - against).mean()), float((seen.charge * earned).mean())
    lift = slope * promised - charged
    variance = float(((ahead - behind) ** 2 * shown * (1 - shown)).mean())
    error = float(np.sqrt(max(variance, 1e-30) / max(seen.judged, 1)))
    unsure = np.hypot(1.0, slope_error * promised / error)
    return Prospect(temperature, lift, error, float(norm.cdf((lift / error - NEEDED) / unsure)))
