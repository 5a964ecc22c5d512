"""Probabilities and clicks -> log loss, calibration error, and intervals that resample whole shoppers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BINS = 10
BLOCK = 8_000_000  # counts that are held at a time, 64 MB


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float


def log_losses(probability: np.ndarray, click: np.ndarray) -> np.ndarray:
    """float64 [n] each -> the loss of each row in nats, float64 [n]."""
    return -np.where(click > 0, np.log(probability), np.log1p(-probability))


def mean_by_shopper(values: np.ndarray, shopper_id: np.ndarray, resamples: int, seed: int) -> Estimate:
    """The mean of values float64 [n] and its bootstrap interval; shoppers are drawn whole: their rows go together."""
    codes = np.unique(shopper_id, return_inverse=True)[1]
    sums, counts = np.bincount(codes, values), np.bincount(codes).astype(np.float64)
    means = np.concatenate([(drawn @ sums) / (drawn @ counts) for drawn in _draws(len(counts), resamples, seed)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def calibration_error(
    probability: np.ndarray, click: np.ndarray, shopper_id: np.ndarray, resamples: int, seed: int
) -> Estimate:
    """Mean over ten equally full bins of |mean probability - click rate| (expected calibration error).

    Bins are cut on the probabilities of all rows and kept in every resample.
    """
    order = np.argsort(probability, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) * BINS // len(order)
    codes, shoppers = np.unique(shopper_id, return_inverse=True)[1], len(np.unique(shopper_id))
    cell = codes * BINS + place
    gaps = np.bincount(cell, probability - click, shoppers * BINS).reshape(shoppers, BINS)
    rows = np.bincount(codes, minlength=shoppers).astype(np.float64)
    errors = np.concatenate(
        [np.abs(drawn @ gaps).sum(axis=1) / (drawn @ rows) for drawn in _draws(shoppers, resamples, seed)]
    )
    low, high = np.quantile(errors, [0.025, 0.975])
    return Estimate(float(np.abs(gaps.sum(axis=0)).sum() / len(click)), float(low), float(high))


def _draws(shoppers: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each shopper is drawn, float64 [resamples, shoppers] in all, a block of resamples at a time."""
    rng = np.random.default_rng(seed)
    alike, at_once = np.full(shoppers, 1.0 / shoppers), max(1, BLOCK // shoppers)
    for done in range(0, resamples, at_once):
        size = min(at_once, resamples - done)
        yield rng.multinomial(shoppers, alike, size=size).astype(np.float64)
