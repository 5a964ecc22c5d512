import numpy as np
import pytest

from components.evaluation.intervals.explained_noise import (
    Cells,
    JudgedRows,
    curve_basis,
    explained_noise,
    level_basis,
    number_basis,
)


def drawn(seed, units=60, n=6000, spread=0.3, rate=0.05):
    """Rows of a log with known rates: the rows, the true rates [units], and the log before it, drawn from the same."""
    random = np.random.default_rng(seed)
    true = rate * np.exp(spread * random.normal(size=units) - spread**2 / 2)
    unit = random.choice(units, n, p=random.dirichlet(np.full(units, 5.0)))
    weight = np.exp(0.5 * random.normal(size=n))
    click = (random.random(n) < true[unit]).astype(float)
    cell = random.integers(0, n // 4, n)
    earlier = random.choice(units, n)
    before = earlier, (random.random(n) < true[earlier]).astype(float)
    return JudgedRows(unit, cell, weight, click, np.ones(n)), true, before


def ctr(units, *logs):
    shown, clicked = (sum(np.bincount(unit, part, units) for unit, part in logs) for logs in _with_ones(logs))
    return clicked / np.maximum(shown, 1)


def _with_ones(logs):
    return [(unit, np.ones(len(unit))) for unit, _ in logs], list(logs)


def naive(cells, basis):
    """The same statistic by explicit sums over pairs, and its expectation through the residuals' covariance."""
    dense, unit = basis.toarray(), cells.unit
    units = len(dense)
    weight = np.bincount(unit, cells.weight, units)
    inverse = np.linalg.pinv(dense.T @ np.diag(weight) @ dense)
    hat = dense @ inverse @ dense.T  # of unit sums
    rate = hat @ np.bincount(unit, cells.reward, units)
    left = np.eye(len(unit)) - cells.weight[:, None] * hat[np.ix_(unit, unit)]
    residual = left @ cells.reward
    noise = np.maximum(rate, 0.25 * cells.reward.sum() / weight.sum())
    spare = noise * (residual**2).sum() / (noise[unit] * cells.square).sum()
    variance = spare[unit] * cells.square
    expected = left @ np.diag(variance) @ left.T
    top, bottom = 0.0, 0.0
    for code in range(units):
        rows = np.flatnonzero(unit == code)
        pairs = [(i, j) for i in rows for j in rows if i != j]
        spread = 2 * sum(variance[i] * variance[j] for i, j in pairs)
        if spread == 0:
            continue
        scale = variance[rows].sum() * np.sqrt(spare[code]) / spread
        top -= scale * sum(residual[i] * residual[j] - expected[i, j] for i, j in pairs)
        bottom += scale**2 * spread * (1 - hat[code, code] * weight[code])
    return top / np.sqrt(bottom)


@pytest.mark.parametrize("words", [False, True])
def test_the_statistic_is_the_sum_over_pairs(words):
    rows, true, _ = drawn(1, units=12, n=300, rate=0.2)
    cells = Cells.of(rows)
    column = np.array(list("abca") * 3, dtype=object) if words else np.where(np.arange(12) == 4, np.nan, true)
    basis = level_basis(column) if words else number_basis(column, 3)
    assert explained_noise(cells, basis).value == pytest.approx(naive(cells, basis), rel=1e-9)


def test_a_column_that_knows_the_true_rates_is_accused_as_often_as_the_level_says():
    chances = []
    for seed in range(300):
        rows, true, _ = drawn(seed)
        chances.append(explained_noise(Cells.of(rows), curve_basis(true, rows.reward.sum())).chance)
    for level, fewest, most in ((0.5, 0.4, 0.6), (0.1, 0.055, 0.15), (0.01, 0.0, 0.03)):
        assert fewest <= np.mean(np.array(chances) < level) <= most


def test_a_column_of_the_past_is_hardly_ever_accused_and_one_of_the_judged_clicks_nearly_always():
    past, whole = [], []
    for seed in range(60):
        rows, true, before = drawn(seed, units=240, n=20_000)
        cells, clicks = Cells.of(rows), rows.reward.sum()
        judged = rows.unit, rows.reward
        past.append(explained_noise(cells, curve_basis(ctr(len(true), before), clicks)).chance)
        whole.append(explained_noise(cells, curve_basis(ctr(len(true), before, judged), clicks)))
    assert np.mean(np.array(past) < 0.01) <= 1 / 60
    assert np.mean([one.chance < 0.01 for one in whole]) >= 58 / 60
    assert 0.2 < np.mean([one.explained for one in whole]) < 0.6


def test_it_matters_neither_on_which_scale_a_column_is_nor_how_often_a_cell_repeats_itself():
    rows, true, before = drawn(3)
    column, clicks = ctr(len(true), before, (rows.unit, rows.reward)), rows.reward.sum()
    first = explained_noise(Cells.of(rows), curve_basis(column, clicks))
    assert explained_noise(Cells.of(rows), curve_basis(np.exp(100 * column), clicks)).value == pytest.approx(
        first.value
    )
    parts = (rows.unit, rows.cell, rows.weight, rows.reward, rows.relative)
    twice = JudgedRows(*(np.concatenate([part, part]) for part in parts))
    assert explained_noise(Cells.of(twice), curve_basis(column, clicks)).value == pytest.approx(first.value)


def test_few_units_cannot_tell_and_no_clicks_say_nothing():
    rows, true, _ = drawn(5, units=4)
    few = explained_noise(Cells.of(rows), curve_basis(ctr(4, (rows.unit, rows.reward)), rows.reward.sum()))
    assert not few.has_power(0.01)
    silent = JudgedRows(rows.unit, rows.cell, rows.weight, np.zeros_like(rows.reward), rows.relative)
    assert explained_noise(Cells.of(silent), curve_basis(true, 0.0)).chance >= 0.5
    alone = JudgedRows(np.arange(9), np.arange(9), np.ones(9), np.ones(9), np.ones(9))
    assert not explained_noise(Cells.of(alone), curve_basis(np.arange(9.0), 9.0)).has_power(0.05)
