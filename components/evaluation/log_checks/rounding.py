"""The precision of a column of probabilities: its floating-point type, decimals and significant digits.

A probability of 1/7 that is written as 0.14 or as a float32 differs from the true one. Such a difference is no evidence
against a log, so every check of propensities allows for the rounding that the column shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MAX_DIGITS = 7  # a column with more decimals or significant digits counts as not rounded
MIN_DECIMALS = 2  # nobody rounds a probability further: 0.3 is exact
# relative error of sums and softmax in each type
ARITHMETIC_ERROR = {np.float16: 2e-3, np.float32: 1e-6, np.float64: 1e-9}
SAMPLE_SIZE = 2000  # distinct values that are examined first


@dataclass(frozen=True)
class Rounding:
    """relative: error of the column's type. decimals, significant: digits that it is rounded to; None: not rounded."""

    relative: float
    decimals: int | None = None
    significant: int | None = None

    def error(self, values: np.ndarray) -> np.ndarray:
        """The largest distance between each of `values` and the number before rounding: float64, >= 0."""
        values = np.asarray(values, dtype=float)
        allowed = np.zeros_like(values)
        if self.decimals is not None:
            allowed = np.full_like(values, 0.5 * 10.0**-self.decimals)
        if self.significant is not None:
            size = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
            allowed = np.maximum(allowed, 0.5 * 10.0 ** (size - self.significant + 1) * (values != 0))
        return self.relative * np.abs(values) + allowed


def rounding_of(values: np.ndarray) -> Rounding:
    """The rounding of the finite `values` (float64, whatever their type was before).

    Round shares such as 0.5, 0.25 or 0.05 and reciprocals of whole numbers such as 0.04 count as exact: people choose
    them, and a column of only such values is hardly ever a result of rounding.
    """
    values = np.asarray(values, dtype=float)
    values = np.unique(values[np.isfinite(values) & (values > 0)])
    if not len(values):
        return Rounding(ARITHMETIC_ERROR[np.float64])
    step = max(1, len(values) // SAMPLE_SIZE)
    relative = next(
        error for kind, error in ARITHMETIC_ERROR.items() if _same(values, values.astype(kind).astype(float))
    )
    for slack in (ARITHMETIC_ERROR[np.float64], relative):  # 0.5 and 0.25 are exact in every type
        decimals = _digits(values, step, _to_decimals, slack, MIN_DECIMALS)
        if decimals is not None and _round_shares(values, decimals, slack):
            return Rounding(slack)
    return Rounding(relative, decimals, _digits(values, step, _to_significant, relative))


def _same(values: np.ndarray, others: np.ndarray) -> bool:
    return bool(np.array_equal(values, others))


def _digits(
    values: np.ndarray, step: int, rounded: Callable[[np.ndarray, int], np.ndarray], slack: float, least: int = 1
) -> int | None:
    """The smallest number of digits that express all of `values` up to a relative `slack`; None: above MAX_DIGITS."""
    for digits in range(least, MAX_DIGITS + 1):
        sample = values[::step]
        if np.all(np.abs(rounded(sample, digits) - sample) <= slack * sample) and np.all(
            np.abs(rounded(values, digits) - values) <= slack * values
        ):
            return digits
    return None


def _to_decimals(values: np.ndarray, digits: int) -> np.ndarray:
    return np.round(values, digits)


def _to_significant(values: np.ndarray, digits: int) -> np.ndarray:
    unit = 10.0 ** (np.floor(np.log10(values)) - digits + 1)
    return np.round(values / unit) * unit


def _round_shares(values: np.ndarray, decimals: int, slack: float) -> bool:
    """Whether every value is a round share or the reciprocal of a whole number."""
    unit = 5 * 10.0**-decimals
    near = np.abs(np.round(values / unit) * unit - values) <= slack * values
    whole = np.round(1 / values)
    return bool(np.all(near | (np.abs(1 / whole - values) <= slack * values)))
