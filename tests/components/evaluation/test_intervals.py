"""Intervals hold the truth as often as they say, also with shoppers that repeat and with skewed weights."""

import numpy as np
import pytest

from components.evaluation.estimators import Contributions
from components.evaluation.intervals import (
    MAX_BAGS,
    Ratios,
    bootstrap,
    difference,
    relative,
    standard_error,
    value_of,
)


def mean_of(values: np.ndarray) -> Ratios:
    zeros, ones = np.zeros_like(values), np.ones_like(values)
    return value_of(Contributions(zeros, values, ones, ones))


def test_standard_error_by_hand():
    """Two shoppers with sums 3 and 1 over two rows each: se^2 = ((3 - 2)^2 + (1 - 2)^2) / 4^2."""
    assert standard_error(mean_of(np.array([1.0, 2.0, 0.0, 1.0])), np.array([0, 0, 1, 1])) == pytest.approx(
        np.sqrt(2) / 4
    )


@pytest.mark.parametrize("repeats", [1, 5])
def test_coverage_of_a_skewed_mean(repeats):
    hits = 0
    for seed in range(150):
        generator = np.random.default_rng(seed)
        shopper = np.repeat(np.arange(300), repeats)
        values = np.repeat(generator.lognormal(0, 1.0, 300), repeats)
        it = bootstrap({"mean": mean_of(values)}, shopper, 200, seed)["mean"]
        hits += it.ci_low <= np.exp(0.5) <= it.ci_high
    assert 0.91 <= hits / 150 <= 0.985


def test_ignoring_shoppers_would_be_too_sure():
    generator = np.random.default_rng(0)
    values = np.repeat(generator.normal(size=300), 10)
    by_shopper = bootstrap({"mean": mean_of(values)}, np.repeat(np.arange(300), 10), 300, 0)["mean"]
    by_row = bootstrap({"mean": mean_of(values)}, np.arange(3000), 300, 0)["mean"]
    assert by_shopper.ci_high - by_shopper.ci_low > 2.5 * (by_row.ci_high - by_row.ci_low)


def test_paired_difference_is_narrower_than_unpaired():
    generator = np.random.default_rng(0)
    left = generator.normal(size=1000)
    right = left + 0.01 * generator.normal(size=1000)
    it = bootstrap({"gap": difference(mean_of(left), mean_of(right))}, np.arange(1000), 300, 0)["gap"]
    assert it.ci_high - it.ci_low < 0.01


def test_pooling_many_shoppers_keeps_the_width():
    values = np.random.default_rng(0).normal(size=4 * MAX_BAGS)
    it = bootstrap({"mean": mean_of(values)}, np.arange(len(values)), 1000, 0)["mean"]
    assert it.ci_high - it.ci_low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.1)


def test_relative_difference():
    generator = np.random.default_rng(0)
    left, right = generator.normal(1.2, 0.1, 2000), generator.normal(1.0, 0.1, 2000)
    it = relative(mean_of(left), mean_of(right), np.arange(2000), 500, 0)
    assert it.ci_low < left.mean() / right.mean() - 1 < it.ci_high and it.ci_high - it.ci_low < 0.02
    assert relative(mean_of(left), mean_of(right - 1.0), np.arange(2000), 500, 0) is None


def test_no_variation_no_interval():
    assert bootstrap({"mean": mean_of(np.zeros(50))}, np.arange(50), 100, 0) == {}


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=500)
    first, second = (bootstrap({"mean": mean_of(values)}, np.arange(500), 200, 7)["mean"] for _ in range(2))
    assert first == second
