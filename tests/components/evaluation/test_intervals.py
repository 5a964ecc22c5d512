"""Intervals hold the truth as often as they say, also with shoppers that repeat and with skewed weights."""

import tracemalloc

import numpy as np
import pytest

from components.evaluation.estimators.estimators import Contributions
from components.evaluation.intervals import resampling
from components.evaluation.intervals.resampling import (
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
        interval = bootstrap({"mean": mean_of(values)}, shopper, 200, seed)["mean"]
        hits += interval.ci_low <= np.exp(0.5) <= interval.ci_high
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
    interval = bootstrap({"gap": difference(mean_of(left), mean_of(right))}, np.arange(1000), 300, 0)["gap"]
    assert interval.ci_high - interval.ci_low < 0.01


def test_pooling_many_shoppers_keeps_the_width():
    values = np.random.default_rng(0).normal(size=4 * MAX_BAGS)
    interval = bootstrap({"mean": mean_of(values)}, np.arange(len(values)), 1000, 0)["mean"]
    assert interval.ci_high - interval.ci_low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.1)


def test_relative_difference():
    generator = np.random.default_rng(0)
    left, right = generator.normal(1.2, 0.1, 2000), generator.normal(1.0, 0.1, 2000)
    interval = relative(mean_of(left), mean_of(right), np.arange(2000), 500, 0)
    assert (
        interval.ci_low < left.mean() / right.mean() - 1 < interval.ci_high
        and interval.ci_high - interval.ci_low < 0.02
    )
    assert relative(mean_of(left), mean_of(right - 1.0), np.arange(2000), 500, 0) is None


def test_no_variation_no_interval():
    assert bootstrap({"mean": mean_of(np.zeros(50))}, np.arange(50), 100, 0) == {}


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=500)
    first, second = (bootstrap({"mean": mean_of(values)}, np.arange(500), 200, 7)["mean"] for _ in range(2))
    assert first == second


def naive_interval(quantity: Ratios, cluster: np.ndarray, replicates: int, seed: int) -> tuple[float, float]:
    """Bootstrap-t, one resample and one shopper at a time."""
    bags = int(cluster.max()) + 1
    generator = np.random.default_rng([seed, 1])

    def value_and_error(counts: np.ndarray) -> tuple[float, float]:
        value, linear = 0.0, np.zeros(bags)
        for sign, top, bottom in quantity.terms:
            tops, bottoms = np.bincount(cluster, top, bags), np.bincount(cluster, bottom, bags)
            ratio = (counts * tops).sum() / (counts * bottoms).sum()
            value += sign * ratio
            linear += sign * (tops - ratio * bottoms) / (counts * bottoms).sum()
        return value, np.sqrt((counts * linear**2).sum())

    value, error = value_and_error(np.ones(bags))
    studentised = []
    for _ in range(replicates):
        again = value_and_error(np.bincount(generator.integers(0, bags, bags), minlength=bags))
        studentised.append((again[0] - value) / again[1])
    low, high = np.quantile(studentised, [0.025, 0.975])
    return value - high * error, value - low * error


@pytest.mark.parametrize("block", [2048, 7])
def test_blocks_of_replicates_and_quantities_are_the_naive_bootstrap(block, monkeypatch):
    """With blocks of 7 there are 15 of replicates, and every quantity is a group of its own."""
    monkeypatch.setattr(resampling, "BLOCK", block)
    generator = np.random.default_rng(0)
    cluster = generator.integers(0, 60, 400)
    columns = [generator.lognormal(size=400) for _ in range(8)]
    means = {str(at): Ratios(((1.0, columns[at], columns[at + 1]),)) for at in range(0, 8, 2)}
    quantities = {**means, "gap": difference(means["0"], means["2"])}
    intervals = bootstrap(iter(quantities.items()), cluster, 101, 5)
    assert list(intervals) == list(quantities)
    for name, quantity in quantities.items():
        expected = naive_interval(quantity, cluster, 101, 5)
        assert (intervals[name].ci_low, intervals[name].ci_high) == pytest.approx(expected, rel=1e-9)


def test_memory_does_not_grow_with_replicates_or_with_quantities_made_one_at_a_time():
    """All at once, 500 parts of 20,000 rows take 160 MB, and their sums in 6,144 replicates 120 MB."""
    rows, parts = 20_000, 500
    generator = np.random.default_rng(0)
    cluster, weight = np.arange(rows) % 509, generator.lognormal(size=rows)

    def quantities():
        for part in range(parts):
            inside = np.arange(rows) % parts == part
            yield str(part), Ratios(((1.0, weight * inside, weight),))

    tracemalloc.start()
    intervals = bootstrap(quantities(), cluster, 3 * resampling.BLOCK, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(intervals) == parts
    assert peak < 120e6, f"{peak / 1e6:.0f} MB"
