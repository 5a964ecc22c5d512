"""Bounds on a mean that hold at any sample size and at every look (confidence sequences).

For values X_i whose conditional means v_i may change with i, and a predictable guess g_i with X_i >= g_i - c, Fan's
inequality makes

    exp(l (X_i - v_i) / c - psi(l) ((X_i - g_i) / c)^2),      psi(l) = -log(1 - l) - l,   0 <= l < 1           (1)

a factor of a supermartingale (Howard et al. 2021, Theorem 4). A mixture of (1) over l is one too, and Ville's
inequality gives a lower bound on the mean of v_1..v_t for all t at once. Only X is bounded below, so large values make
the bound wider but never invalid. Rows must be in order of time. The lift has a sharper bound: lift_bound.py.
"""

from dataclasses import dataclass

import numpy as np

RATES = np.geomspace(
    1e-4, 0.9, 16
)  # the l of the mixture; within a factor 1.4 of the best l, 6 % of the evidence is lost
COST = np.log(len(RATES))  # of the mixture against its best single rate


def lower_sequence(values: np.ndarray, gap: float, alpha: float, looks: np.ndarray) -> np.ndarray:
    """Lower bounds on the mean of the conditional means of values[:t] for every t in `looks`: float64 [n_looks].

    values: float64 [n], in order of time, each at least -`gap`. All bounds hold with probability 1 - alpha.
    """
    return np.array([sequence_lower_bound(sums, alpha) for sums in _sums(values, gap, looks)])


def mean_interval(values: np.ndarray, floor: float, ceiling: float, alpha: float) -> tuple[float, float]:
    """Bounds on the mean of the conditional means of values [n] in [floor, ceiling], at any n (alpha / 2 per side)."""
    last = np.array([len(values)])
    low = lower_sequence(values - floor, ceiling - floor, alpha / 2, last)[0] + floor
    high = ceiling - lower_sequence(ceiling - values, ceiling - floor, alpha / 2, last)[0]
    return float(low), float(high)


@dataclass(frozen=True)
class SequenceSums:
    """The sums of (1) at one look: `total` of the first t values, and `surprise`, their squared (X - g) / `scale`."""

    t: int
    total: float
    surprise: float
    scale: float


def _sums(values: np.ndarray, gap: float, looks: np.ndarray) -> list[SequenceSums]:
    """The sums of (1) at each look; the guess is the mean of the earlier values, within +-gap."""
    scale = 2.0 * gap
    totals = np.cumsum(values)
    past = np.concatenate([[0.0], totals[:-1]]) / np.maximum(np.arange(len(values)), 1)
    surprise = np.cumsum(((values - np.clip(past, -gap, gap)) / scale) ** 2)
    return [SequenceSums(int(t), float(totals[t - 1]), float(surprise[t - 1]), scale) for t in looks]


def sequence_lower_bound(sums: SequenceSums, alpha: float) -> float:
    """The largest m that the mixture over rates rejects at level alpha, by bisection: the evidence falls in m."""
    threshold = np.log(1 / alpha) + COST
    psi = -np.log1p(-RATES) - RATES

    def evidence(m: float) -> float:
        exponents = RATES * (sums.total - sums.t * m) / sums.scale - psi * sums.surprise
        peak = exponents.max()
        return peak + np.log(np.exp(exponents - peak).sum()) - threshold

    high = sums.total / sums.t
    low = high - sums.scale * 2
    while evidence(low) < 0:
        low = high - 2 * (high - low)
        if high - low > 1e9 * sums.scale:
            return float("-inf")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if evidence(middle) >= 0 else (low, middle)
    return float(low)
