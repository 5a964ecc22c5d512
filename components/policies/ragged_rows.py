"""Arithmetic over ragged rows: row i has the values offsets[i]:offsets[i + 1], at least one."""

import numpy as np


def row_counts(offsets: np.ndarray) -> np.ndarray:
    """Number of values of each row: int64 [n_rows], >= 1. ValueError if a row has none."""
    counts = np.diff(offsets)
    if len(counts) and counts.min() < 1:
        raise ValueError(f"row {int(counts.argmin())} has no value; every impression needs an eligible creative")
    return counts


def row_sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum over each row: [n_values] -> [n_rows]."""
    row_counts(offsets)
    return np.add.reduceat(values, offsets[:-1]) if len(offsets) > 1 else np.zeros(0)


def row_maxima(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Largest value of each row: [n_values] -> [n_rows]."""
    row_counts(offsets)
    return np.maximum.reduceat(values, offsets[:-1]) if len(offsets) > 1 else np.zeros(0)


def spread(per_row: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """One value per row, repeated for each value of the row: [n_rows] -> [n_values]."""
    return np.repeat(per_row, row_counts(offsets))


def draw_per_row(probabilities: np.ndarray, offsets: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One index into the values per row, drawn with `probabilities` (summing to 1 per row): int64 [n_rows]."""
    cumulative = np.cumsum(probabilities)
    start = np.concatenate([[0.0], cumulative])[offsets[:-1]]
    end = cumulative[offsets[1:] - 1]
    uniform = generator.random(len(offsets) - 1)
    index = np.searchsorted(cumulative, start + uniform * (end - start), side="right")
    return np.clip(index, offsets[:-1], offsets[1:] - 1)
