"""Log loss and calibration error of predictions, with bootstrap intervals over whole shoppers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BINS = 10
COUNTS_AT_ONCE = 8_000_000  # of float64: 64 MB


@dataclass(frozen=True)
class BootstrapEstimate:
    """A value with its 95 % bootstrap interval."""

    value: float
    ci_low: float
    ci_high: float


def log_losses(probability: np.ndarray, click: np.ndarray) -> np.ndarray:
    """Log loss of each row in nats, float64 [n], from probabilities in (0, 1) and clicks 0/1, float64 [n] each."""
    return -np.where(click > 0, np.log(probability), np.log1p(-probability))


def mean_by_shopper(values: np.ndarray, shopper_id: np.ndarray, resamples: int, seed: int) -> BootstrapEstimate:
    """The mean of values float64 [n] with its interval; the bootstrap resamples shoppers, each with all its rows."""
    codes = np.unique(shopper_id, return_inverse=True)[1]
    sums, counts = np.bincount(codes, values), np.bincount(codes).astype(np.float64)
    means = np.concatenate(
        [(times_drawn @ sums) / (times_drawn @ counts) for times_drawn in _resamples(len(counts), resamples, seed)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return BootstrapEstimate(float(values.mean()), float(low), float(high))


def calibration_error(
    probability: np.ndarray, click: np.ndarray, shopper_id: np.ndarray, resamples: int, seed: int
) -> BootstrapEstimate:
    """Mean over ten equally full bins of |mean probability - click rate| (expected calibration error).

    Bins are cut on the probabilities of all rows; every resample uses the same bins.
    """
    order = np.argsort(probability, kind="stable")
    bin_of_row = np.empty(len(order), dtype=np.int64)
    bin_of_row[order] = np.arange(len(order)) * BINS // len(order)
    codes, shoppers = np.unique(shopper_id, return_inverse=True)[1], len(np.unique(shopper_id))
    cell = codes * BINS + bin_of_row
    gaps = np.bincount(cell, probability - click, shoppers * BINS).reshape(shoppers, BINS)
    rows = np.bincount(codes, minlength=shoppers).astype(np.float64)
    errors = np.concatenate(
        [
            np.abs(times_drawn @ gaps).sum(axis=1) / (times_drawn @ rows)
            for times_drawn in _resamples(shoppers, resamples, seed)
        ]
    )
    low, high = np.quantile(errors, [0.025, 0.975])
    return BootstrapEstimate(float(np.abs(gaps.sum(axis=0)).sum() / len(click)), float(low), float(high))


def _resamples(shoppers: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of rows of float64 [resamples, shoppers]: how often each resample draws each shopper."""
    rng = np.random.default_rng(seed)
    equal_shares, at_once = np.full(shoppers, 1.0 / shoppers), max(1, COUNTS_AT_ONCE // shoppers)
    for done in range(0, resamples, at_once):
        size = min(at_once, resamples - done)
        yield rng.multinomial(shoppers, equal_shares, size=size).astype(np.float64)
