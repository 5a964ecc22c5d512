import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.features.shoppers.between_shoppers import ShopperEvents, Variation
from components.features.shoppers.shrunken_average import ShrunkenAverage
from components.features.shoppers.tastes import MAX_TASTE, LevelTaste, VectorTaste, fit_taste, most_probable
from components.features.timeline import Rows, Timeline

BRANDS = ("brand:a", "brand:b", "brand:c")


def events_of(table, row, shopper, group=None, day=None) -> ShopperEvents:
    table, row = np.asarray(table, dtype=float), np.asarray(row)
    group = np.zeros(len(table), dtype=int) if group is None else np.asarray(group)
    day = np.arange(len(row)) if day is None else np.asarray(day)
    return ShopperEvents(table, row, group, int(group.max(initial=0)) + 1, np.asarray(shopper), day)


def ranges(*pairs: tuple[int, int]) -> Rows:
    return Rows(np.array([start for start, _ in pairs]), np.array([stop for _, stop in pairs]))


def test_a_taste_for_a_level_is_the_most_probable_one():
    share = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    taste = LevelTaste(BRANDS, share, variance=0.5, repeats=1.0)
    table, group = np.eye(3), np.array([0, 0, 1])
    row = np.array([0, 0, 1, 2])  # two events of a, one of b, both in group 0, then one of c in group 1
    found = taste.estimate(ranges((0, 2), (0, 4), (4, 4)), table, row, group)
    # expected of all four: a 3 x .5, b 3 x .5 + .25, c .75
    counts = [[2, 0, 0], [2, 1, 1], [0, 0, 0]]
    due = [[1, 1, 0], [1.5, 1.75, 0.75], [0, 0, 0]]
    for tastes, seen, expected in zip(found, np.array(counts), np.array(due), strict=True):
        assert seen - expected * np.exp(tastes) - tastes / 0.5 == pytest.approx(0.0, abs=1e-9)
    assert found[0, 0] > 0 > found[0, 1] and found[0, 2] == 0 and not found[2].any()


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(1e-3, 3.0))
def test_the_most_probable_taste_solves_its_equation_for_any_counts(seen, expected, variance):
    u = float(most_probable(np.array([[seen]]), np.array([[expected]]), variance)[0, 0])
    below, above = (seen - expected * math.exp(at) - at / variance for at in (u - 1e-3, u + 1e-3))
    assert below > 0 > above or (u == MAX_TASTE and above > 0) or (u == -MAX_TASTE and below < 0)


@given(st.data())
def test_level_tastes_count_as_a_loop_over_the_events_does(data):
    count = data.draw(st.integers(1, 12))
    table = np.eye(3)[data.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))]
    row = np.array(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    group, shopper = np.array([0, 1, 1, 2]), np.arange(count) % 3
    taste = LevelTaste.fit(BRANDS, events_of(table, row, shopper, group))
    overall = np.mean([table[one] for one in row], axis=0)
    stop = data.draw(st.integers(0, count))
    seen, expected = np.zeros(3), np.zeros(3)
    for event in row[:stop]:
        seen += table[event]
        peers = [table[one] for one in row if group[one] == group[event]]
        expected += (np.sum(peers, axis=0) + overall) / (len(peers) + 1)
    found = taste.estimate(ranges((0, stop)), table, row, group)[0]
    due = most_probable(seen[None] / taste.repeats, expected[None] / taste.repeats, taste.variance)[0]
    np.testing.assert_allclose(found, np.where(overall > 0, due, 0.0), atol=1e-6)


def test_a_taste_does_not_repeat_which_groups_are_browsed():
    """The first shopper browses group 0 and takes what is usual there; the second takes what is rare in both groups."""
    table, group = np.eye(2)[[0, 1, 0, 1]], np.array([0, 0, 1, 1])
    taste = LevelTaste(("size:s", "size:l"), np.array([[0.75, 0.25], [0.25, 0.75]]), variance=0.5, repeats=1.0)
    row = np.array([0, 0, 0, 1, 1, 2])
    usual, rare = taste.estimate(ranges((0, 4), (4, 6)), table, row, group)
    assert usual.tolist() == [0.0, 0.0]
    assert rare.tolist() == [0.0, 0.0], "one of each, where the groups lead one to expect one of each"
    rarer = taste.estimate(ranges((0, 2)), table, np.array([1, 1]), group)[0]
    assert rarer[0] < 0 < rarer[1]


def test_few_events_count_for_much_when_shoppers_differ_and_for_little_when_they_do_not():
    rng = np.random.default_rng(0)
    shopper = np.repeat(np.arange(400), 30)

    def fitted(deviation: float, visit: int = 1) -> LevelTaste:
        """Shares in proportion to exp(u), u of this deviation; each event is repeated `visit` times on its day."""
        own = np.exp(deviation * rng.standard_normal((400, 8)))
        own /= own.sum(axis=1, keepdims=True)
        drawn = (rng.random((len(shopper), 1)) > own[shopper].cumsum(axis=1)).sum(axis=1).clip(max=7)
        repeated = [np.repeat(values, visit) for values in (drawn, shopper, np.arange(len(drawn)))]
        columns = tuple(f"brand:{number}" for number in range(8))
        return LevelTaste.fit(columns, events_of(np.eye(8), *repeated[:2], day=repeated[2]))

    different = fitted(0.7)
    assert different.variance == pytest.approx(0.49, rel=0.25) and different.repeats == pytest.approx(1.0, abs=0.1)
    repeated = fitted(0.7, visit=3)  # three equal events of a visit are worth one
    assert repeated.variance == pytest.approx(0.49, rel=0.25) and repeated.repeats == pytest.approx(3.0, abs=0.2)
    assert fitted(0.0).variance < 0.01


def test_without_events_or_differences_nobody_has_a_taste():
    nothing = events_of(np.eye(2), np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    assert (
        LevelTaste.fit(("a:x", "a:y"), nothing).estimate(ranges((0, 0)), np.eye(2), nothing.row, nothing.group).any()
        == 0
    )
    alike = events_of(np.ones((1, 2)), np.zeros(6, dtype=int), np.repeat([0, 1], 3))
    taste = VectorTaste.fit(("look:00", "look:01"), alike)
    assert taste.axes.shape == (2, 0)
    assert taste.estimate(ranges((0, 3)), alike.table, alike.row, alike.group).tolist() == [[0.0, 0.0]]
    same = LevelTaste.fit(("a:x",), events_of(np.ones((1, 1)), np.zeros(40, dtype=int), np.arange(40) % 4))
    assert abs(same.estimate(ranges((0, 20)), np.ones((1, 1)), np.zeros(40, dtype=int), np.array([0]))).max() < 0.01


def shelves(seed: int, tastes: np.ndarray, events: int) -> tuple[ShopperEvents, np.ndarray]:
    """Choices among 400 products with probability proportional to exp(taste . x): events, and the products."""
    rng = np.random.default_rng(seed)
    products = rng.standard_normal((400, tastes.shape[1])) * np.linspace(3.0, 0.5, tastes.shape[1])
    shopper = np.repeat(np.arange(len(tastes)), events)
    liking = (tastes @ products.T)[shopper] + rng.gumbel(size=(len(shopper), 400))
    chosen = liking.argmax(axis=1)
    return events_of(products, chosen, shopper), products


def test_tastes_for_vectors_are_found_on_the_axes_where_shoppers_differ():
    rng = np.random.default_rng(1)
    tastes = np.zeros((300, 6))
    tastes[:, 3:5] = rng.standard_normal((300, 2)) * 0.4  # not the columns of largest variance
    events, products = shelves(2, tastes, 60)
    taste = VectorTaste.fit(tuple(f"look:{number:02d}" for number in range(6)), events)
    assert taste.axes.shape[1] == 2
    found = taste.estimate(
        ranges(*[(60 * who, 60 * who + 60) for who in range(300)]), products, events.row, events.group
    )
    assert np.corrcoef((found @ products.T).ravel(), (tastes @ products.T).ravel())[0, 1] > 0.85
    assert np.polyfit((found @ products.T).ravel(), (tastes @ products.T).ravel(), 1)[0] == pytest.approx(1.0, abs=0.25)


def test_a_taste_for_vectors_does_not_depend_on_their_coordinates():
    tastes = np.random.default_rng(3).standard_normal((100, 3)) * 0.5
    events, products = shelves(4, tastes, 30)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    turned = events_of(products @ turn, events.row, events.shopper)
    columns, everyone = ("look:00", "look:01", "look:02"), ranges(*[(30 * who, 30 * who + 30) for who in range(100)])
    plain = VectorTaste.fit(columns, events).estimate(everyone, products, events.row, events.group)
    other = VectorTaste.fit(columns, turned).estimate(everyone, turned.table, events.row, events.group)
    np.testing.assert_allclose(other @ turned.table.T, plain @ products.T, atol=1e-5)


def test_one_hot_rows_are_levels_and_others_vectors():
    assert isinstance(fit_taste(("a:x", "a:y"), events_of([[1, 0], [0, 1], [0, 0]], [0, 1, 2], [0, 0, 1])), LevelTaste)
    assert isinstance(fit_taste(("a:00",), events_of([[0.5], [1.0]], [0, 1, 1], [0, 0, 1])), VectorTaste)


def test_variation_is_that_of_a_known_model():
    """x = own mean + visit's deviation + an event's: variances 1, 0.5 and 2, four events a visit, ten visits."""
    rng = np.random.default_rng(6)
    shoppers, visits, size = 400, 10, 4
    shopper = np.repeat(np.arange(shoppers), visits * size)
    visit = np.repeat(np.arange(shoppers * visits), size)
    own, of_visit = rng.standard_normal(shoppers), np.sqrt(0.5) * rng.standard_normal(shoppers * visits)
    values = own[shopper] + of_visit[visit] + np.sqrt(2.0) * rng.standard_normal(len(shopper))
    events = events_of(values[:, None], np.arange(len(values)), shopper, day=visit % visits)
    found = Variation.of(events, events.table)
    assert found.between.item() == pytest.approx(1.0, abs=0.2)
    assert found.within.item() == pytest.approx(2.5, abs=0.1)
    assert found.noise.item() == pytest.approx(2.0 + size * 0.5, abs=0.3)


def test_release_0_1_averages_by_credibility():
    timeline = Timeline.of(pd.Series(["a", "a", "b"]), np.array([1, 2, 3]))
    rows = timeline.rows(pd.Series(["a", "b", "c"]), np.full(3, 9))
    plain = ShrunkenAverage(("category:x", "category:y"), np.array([0.5, 0.5]), 2.0, np.zeros((1, 2)))
    assert plain.estimate(rows, np.eye(2), np.array([0, 0, 1]), np.zeros(2, dtype=int)).tolist() == [
        [0.75, 0.25],
        [1 / 3, 2 / 3],
        [0.5, 0.5],
    ]
    centred = ShrunkenAverage(("price:00",), np.zeros(1), 1.0, np.array([[1.0], [3.0]]))
    # the third product is of a group that the release did not know: it is compared with the mean of the groups
    values = np.array([[2.0], [5.0], [4.0]])
    assert centred.estimate(rows, values, np.array([0, 1, 2]), np.array([0, 1, 2])).ravel().tolist() == [1.0, 1.0, 0.0]


@given(st.data())
def test_a_taste_is_finite_however_few_the_events(data):
    count, width = data.draw(st.integers(0, 12)), data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    table, row = rng.standard_normal((5, width)), rng.integers(0, 5, count)
    events = events_of(table, row, rng.integers(0, 3, count), rng.integers(0, 2, 5), rng.integers(0, 3, count))
    columns = tuple(f"look:{number:02d}" for number in range(width))
    found = VectorTaste.fit(columns, events).estimate(ranges((0, count)), table, row, events.group)
    assert np.isfinite(found).all()
