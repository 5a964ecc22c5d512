"""Rates of rare outcomes by level, such as clicks per impression of a template, shrunken towards a common rate.

    p(l) = (outcomes(l) + m p) / (trials(l) + m)                                                                   (1)

the mean of a beta distribution with prior mean p and a prior that weighs as much as m trials.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd

HIGHEST = 0.999  # a product of rates is a rough probability, which must stay below 1


def shrunken_rates(level: pd.Series, outcome: pd.Series, rate: float, prior: float) -> pd.Series:
    """Equation (1) for each value of `level` [n], float64 by value. outcome: 0 or 1 [n]; rate: p; prior: m > 0."""
    counted = outcome.astype(float).groupby(level.to_numpy()).agg(["sum", "count"])
    return (counted["sum"] + prior * rate) / (counted["count"] + prior)


def overall_rate(outcome: pd.Series) -> float:
    """Outcomes per trial, with one trial and half an outcome added: in (0, 1) also without trials."""
    return (float(outcome.sum()) + 0.5) / (len(outcome) + 1)


def relative_rates(level: pd.Series, rates: pd.Series, rate: float) -> np.ndarray:
    """The rate of each level [n] over `rate`, float64 [n]; 1 for a level that is null or has no rate."""
    return (rates / rate).reindex(level).fillna(1.0).to_numpy(dtype=float)


def product_of_rates(rate: float, ratios: Sequence[np.ndarray], count: int) -> np.ndarray:
    """`rate` times each of `ratios` (float64 [count] each), at most HIGHEST: float64 [count] in (0, 1)."""
    return np.minimum(reduce(np.multiply, ratios, np.full(count, rate)), HIGHEST)
