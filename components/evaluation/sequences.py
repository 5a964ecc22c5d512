"""Bounds on a mean that hold at any sample size and at every look (confidence sequences).

For values X_i whose conditional means v_i may change with i, and a predictable guess g_i with X_i >= g_i - c, Fan's
inequality makes

    exp(l (X_i - v_i) / c - psi(l) ((X_i - g_i) / c)^2),      psi(l) = -log(1 - l) - l,   0 <= l < 1           (1)

a supermartingale's factor (Howard et al. 2021, Theorem 4; Waudby-Smith et al. 2022 for importance-weighted rewards). A
mixture of (1) over l is one too, and Ville's inequality turns it into a lower bound on the mean of v_1..v_t for all t
at once. Only a floor under X is needed, so large weights cost width but never validity. Rows must be in order of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATES = np.geomspace(1e-4, 0.9, 16)  # the l of the mixture; one within a factor 1.4 of the best costs 6 % of evidence
CLIPS = (4.0, 16.0, np.inf)  # of the weights; clipping can only lower a lower bound
COST = np.log(len(RATES))


def lower_sequence(values: np.ndarray, gap: float, alpha: float, looks: np.ndarray) -> np.ndarray:
    """Lower bounds on the mean of the conditional means of values[:t] for every t in `looks`: float64 [n_looks].

    values: float64 [n], in order of time, each at least -`gap`. All bounds, at all looks, hold with probability
    1 - alpha.
    """
    return np.array([lower_from([sums], alpha) for sums in _sums(values, gap, looks)])


def lower_lift(
    weight: np.ndarray,
    baseline_weight: np.ndarray,
    reward: np.ndarray,
    most_baseline: float,
    alpha: float,
    looks: np.ndarray,
) -> np.ndarray:
    """Anytime-valid lower bounds on the target's lift over the baseline, rewards in [0, 1]: float64 [n_looks].

    most_baseline: the largest weight that the baseline can have (1 where it is the logging policy).
    """
    sums = lift_sums(weight, baseline_weight, reward, most_baseline, looks)
    return np.array([lower_from(at_look, alpha) for at_look in sums])


def lift_sums(
    weight: np.ndarray, baseline_weight: np.ndarray, reward: np.ndarray, most_baseline: float, looks: np.ndarray
) -> list[tuple["Sums", ...]]:
    """What `lower_from` needs at each look, whatever its alpha: one entry per clip.

    X_i = (min(w_i, clip) - b_i) r_i >= -most_baseline, guessed to be 0. One mixture holds all clips, so none is chosen
    by looking. Only rewarded rows count, so the rest is never touched.
    """
    earned = np.flatnonzero(reward)
    upto = np.searchsorted(earned, looks)  # rewarded rows within each look
    gains, behind = reward[earned], baseline_weight[earned]
    per_clip = []
    for clip in CLIPS:
        values = (np.minimum(weight[earned], clip) - behind) * gains
        totals = np.concatenate([[0.0], np.cumsum(values)])[upto]
        surprise = np.concatenate([[0.0], np.cumsum((values / most_baseline) ** 2)])[upto]
        looked = zip(looks, totals, surprise, strict=True)
        per_clip.append([Sums(int(t), float(total), float(squares), most_baseline) for t, total, squares in looked])
    return list(zip(*per_clip, strict=True))


def upper_lift(
    weight: np.ndarray,
    baseline_weight: np.ndarray,
    reward: np.ndarray,
    most_weight: float,
    alpha: float,
    looks: np.ndarray,
) -> np.ndarray:
    """Anytime-valid upper bounds on the lift: the baseline's gain over the target, with roles exchanged."""
    return -lower_lift(baseline_weight, weight, reward, most_weight, alpha, looks)


def mean_interval(values: np.ndarray, floor: float, ceiling: float, alpha: float) -> tuple[float, float]:
    """Bounds on the mean of the conditional means of values [n] in [floor, ceiling], at any n (alpha / 2 on a side)."""
    last = np.array([len(values)])
    low = lower_sequence(values - floor, ceiling - floor, alpha / 2, last)[0] + floor
    high = ceiling - lower_sequence(ceiling - values, ceiling - floor, alpha / 2, last)[0]
    return float(low), float(high)


@dataclass(frozen=True)
class Sums:
    """What (1) needs at one look: `total` of the first t values, and their squared surprise in units of `scale`."""

    t: int
    total: float
    surprise: float
    scale: float


def _sums(values: np.ndarray, gap: float, looks: np.ndarray) -> list[Sums]:
    """The sufficient statistics of (1) at each look; the guess is the running mean of the past, within +-gap."""
    scale = 2.0 * gap
    totals = np.cumsum(values)
    past = np.concatenate([[0.0], totals[:-1]]) / np.maximum(np.arange(len(values)), 1)
    surprise = np.cumsum(((values - np.clip(past, -gap, gap)) / scale) ** 2)
    return [Sums(int(t), float(totals[t - 1]), float(surprise[t - 1]), scale) for t in looks]


def lower_from(statistics: Sequence[Sums], alpha: float) -> float:
    """The largest m that the mixture over rates and clips rejects at level alpha: by bisection, for it falls in m."""
    threshold = np.log(1 / alpha) + np.log(len(statistics)) + COST
    psi = -np.log1p(-RATES) - RATES

    def evidence(m: float) -> float:
        exponents = np.concatenate([RATES * (it.total - it.t * m) / it.scale - psi * it.surprise for it in statistics])
        peak = exponents.max()
        return peak + np.log(np.exp(exponents - peak).sum()) - threshold

    high, scale = max(it.total / it.t for it in statistics), statistics[0].scale
    low = high - scale * 2
    while evidence(low) < 0:
        low = high - 2 * (high - low)
        if high - low > 1e9 * scale:
            return float("-inf")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if evidence(middle) >= 0 else (low, middle)
    return float(low)
