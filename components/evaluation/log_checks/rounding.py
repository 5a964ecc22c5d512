"""How exactly a column of probabilities is written: its floating-point type, its decimals, its significant digits.

A probability of 1/7 that is written as 0.14 or as a float32 differs from the one that acted. Such a difference is no
evidence against a log, so every check of propensities allows for what the column itself shows of its rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_DIGITS = 7  # a column with more decimals or significant digits counts as written in full
FEWEST_DECIMALS = 2  # nobody rounds a probability further: 0.3 is meant
ARITHMETIC = {np.float16: 2e-3, np.float32: 1e-6, np.float64: 1e-9}  # relative error of sums and softmax in that type
SAMPLE = 2000  # distinct values that are looked at first


@dataclass(frozen=True)
class Rounding:
    """What a column shows: relative error of its type, and its decimals and significant digits (None: all of them)."""

    relative: float
    decimals: int | None = None
    significant: int | None = None

    def error(self, values: np.ndarray) -> np.ndarray:
        """The largest distance that each of `values` can have from the number that it stands for: float64, >= 0."""
        values = np.asarray(values, dtype=float)
        allowed = np.zeros_like(values)
        if self.decimals is not None:
            allowed = np.full_like(values, 0.5 * 10.0**-self.decimals)
        if self.significant is not None:
            size = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
            allowed = np.maximum(allowed, 0.5 * 10.0 ** (size - self.significant + 1) * (values != 0))
        return self.relative * np.abs(values) + allowed


def rounding_of(values: np.ndarray) -> Rounding:
    """The rounding that finite `values` (float64, whatever type they had before) show.

    Round shares such as 0.5, 0.25 or 0.05 and reciprocals of whole numbers such as 0.04 are taken for exact: people
    choose them, and rounding gives a column of nothing else by a rare chance only.
    """
    values = np.asarray(values, dtype=float)
    values = np.unique(values[np.isfinite(values) & (values > 0)])
    if not len(values):
        return Rounding(ARITHMETIC[np.float64])
    step = max(1, len(values) // SAMPLE)
    relative = next(error for kind, error in ARITHMETIC.items() if _same(values, values.astype(kind).astype(float)))
    for slack in (ARITHMETIC[np.float64], relative):  # 0.5 and 0.25 are exact in every type, and say nothing of it
        decimals = _fewest(values, step, _to_decimals, slack, FEWEST_DECIMALS)
        if decimals is not None and _chosen(values, decimals, slack):
            return Rounding(slack)
    return Rounding(relative, decimals, _fewest(values, step, _to_significant, relative))


def _same(values: np.ndarray, others: np.ndarray) -> bool:
    return bool(np.array_equal(values, others))


def _fewest(
    values: np.ndarray, step: int, rounded: Callable[[np.ndarray, int], np.ndarray], slack: float, least: int = 1
) -> int | None:
    """The fewest digits that write all of `values` up to a relative `slack`; None: more than MOST_DIGITS."""
    for digits in range(least, MOST_DIGITS + 1):
        some = values[::step]
        if np.all(np.abs(rounded(some, digits) - some) <= slack * some) and np.all(
            np.abs(rounded(values, digits) - values) <= slack * values
        ):
            return digits
    return None


def _to_decimals(values: np.ndarray, digits: int) -> np.ndarray:
    return np.round(values, digits)


def _to_significant(values: np.ndarray, digits: int) -> np.ndarray:
    unit = 10.0 ** (np.floor(np.log10(values)) - digits + 1)
    return np.round(values / unit) * unit


def _chosen(values: np.ndarray, decimals: int, slack: float) -> bool:
    """Whether every value is a round share or the reciprocal of a whole number."""
    unit = 5 * 10.0**-decimals
    near = np.abs(np.round(values / unit) * unit - values) <= slack * values
    whole = np.round(1 / values)
    return bool(np.all(near | (np.abs(1 / whole - values) <= slack * values)))
