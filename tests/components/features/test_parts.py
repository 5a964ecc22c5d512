import numpy as np
import pandas as pd
import pytest

from components.features.categoricals import Levels, PriceBands
from components.features.npz_records import to_npz
from components.features.products.text_space import TextSpace, terms
from components.features.shoppers.segments import Segments
from components.features.shoppers.shrunken_average import ShrunkenAverage
from components.features.shoppers.tastes import VectorTaste
from components.features.time_splits import Splits
from components.features.timeline import Timeline
from components.settings.sections import FeaturesConfig


@pytest.mark.parametrize(
    ("left", "right", "unrelated"),
    [
        ("红色连衣裙", "连衣裙新款", "男士运动鞋"),
        ("red dresses", "a red dress", "running sneaker"),
        ("夏季 dress", "连衣裙 dress", "运动鞋 sneaker"),
    ],
)
def test_related_phrases_overlap_and_unrelated_ones_do_not(left, right, unrelated):
    assert set(terms(left)) & set(terms(right))
    assert not set(terms(left)) & set(terms(unrelated))


def test_chinese_titles_of_one_kind_lie_closer_than_titles_of_two_kinds():
    dresses = ["红色连衣裙", "黑色连衣裙", "夏季长裙", "连衣裙新款", "长裙黑色"]
    shoes = ["男士运动鞋", "跑步运动鞋", "轻便跑步鞋", "运动鞋白色"]
    space = TextSpace.fit([*dresses, *shoes], dimensions=3, seed=0)
    vectors = space.embed(pd.Series([*dresses, *shoes], dtype="str"))
    likeness = vectors @ vectors.T
    assert likeness[:5, :5].mean() > 0.5 > likeness[:5, 5:].mean() + 0.3
    # a search that is no title, and shares no whole word with one
    query = space.embed(pd.Series(["连衣裙红", None, "zzz"], dtype="str"))
    assert (query[0] @ vectors[:5].T).mean() > (query[0] @ vectors[5:].T).mean() + 0.5
    assert not query[1:].any()


def test_texts_without_terms_span_no_space():
    assert TextSpace.fit(["!!!", ""], dimensions=3, seed=0) is None
    assert TextSpace.fit([], dimensions=3, seed=0) is None


def test_ranges_are_half_open_in_time():
    timeline = Timeline.of(pd.Series(["a", "a", "b", "a"]), np.array([10, 20, 20, 30]))
    asked = pd.Series(["a", "a", "a", "b", "c"])
    rows = timeline.rows(asked, until=np.array([10, 20, 31, 21, 99]), since=np.array([0, 10, 20, 0, 0]))
    assert rows.count.tolist() == [0, 1, 2, 1, 0]
    values = np.array([1.0, 2.0, 4.0, 8.0])[timeline.order]
    assert rows.sums(values).tolist() == [0.0, 1.0, 10.0, 4.0, 0.0]
    assert rows.last(values, otherwise=-1.0).tolist() == [-1.0, 1.0, 8.0, 4.0, -1.0]


def test_levels_keep_the_commonest_and_give_nothing_to_others():
    levels = Levels.fit("template", pd.Series(["b", "a", "b", None, "c", "a"]), most=2)
    assert levels.columns == ("template:a", "template:b")
    assert levels.encode(pd.Series(["a", "c", None, "b"])).tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]


def test_price_bands_hold_equal_numbers_and_no_price_has_none():
    prices = pd.Series(np.arange(100.0))
    bands = PriceBands.fit(prices)
    assert bands.name(prices).value_counts().tolist() == [20] * 5
    assert bands.name(pd.Series([np.nan])).isna().all()


def planted(seed: int, spread: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 20, 60 and 40 shoppers around their centres: points [120, 2] and the group of each."""
    group = np.repeat([0, 1, 2], [20, 60, 40])
    centre = np.array([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])[group]
    return centre + np.array(spread) * np.random.default_rng(seed).standard_normal(centre.shape), group


def differences(*names: str) -> tuple[VectorTaste, ...]:
    """Tastes of one column each."""
    return tuple(VectorTaste((f"{name}:00",), np.zeros((1, 1)), np.ones((1, 1)), np.ones(1)) for name in names)


def test_segments_find_planted_groups_and_name_the_largest_first():
    points, _ = planted(1, (0.2, 0.2))
    tastes, averages = differences("title", "look"), (points[:, :1], points[:, 1:])
    segments = Segments.fit(tastes, averages, count=3, seed=0)
    assert np.bincount(segments.assign(tastes, averages)).tolist() == [60, 40, 20]


def test_segments_do_not_follow_what_varies_within_them():
    """Two groups half a standard deviation of the first column apart, and far apart in the second: k-means splits the
    first column, which varies more; one covariance for all sees that it varies within groups."""
    random = np.random.default_rng(2)
    group = np.repeat([0, 1], [300, 200])
    own = random.standard_normal(500)
    points = np.column_stack([10 * own, own + 0.3 * random.standard_normal(500) + 3.0 * group])
    tastes, averages = differences("title", "look"), (points[:, :1], points[:, 1:])
    found = Segments.fit(tastes, averages, count=2, seed=0).assign(tastes, averages)
    assert (found == group).mean() > 0.98


def test_shares_of_release_0_1_tell_segments_apart_by_their_logarithm():
    """A share of 1 % and one of 4 % are as far apart as 10 % and 40 %, whatever is common."""
    rare = np.repeat([0.01, 0.04], 50)
    shares = np.column_stack([rare, 1 - rare]) + 1e-4 * np.random.default_rng(3).random((100, 1))
    taste = ShrunkenAverage(("category:a", "category:b"), np.array([0.025, 0.975]), 5.0, np.zeros((1, 2)))
    kind = ShrunkenAverage(("kind:view", "kind:click"), np.array([0.5, 0.5]), 5.0, np.zeros((1, 2)))
    averages = (shares, np.full((100, 2), 0.5))
    found = Segments.fit((taste, kind), averages, count=2, seed=0).assign((taste, kind), averages)
    assert len(set(found[:50])) == len(set(found[50:])) == 1 and found[0] != found[99]


def test_shoppers_who_do_not_differ_have_no_segments():
    tastes = differences("title")
    assert Segments.fit(tastes, (np.zeros((10, 1)),), count=3, seed=0) is None


def test_what_may_judge_comes_after_selection_or_at_no_known_time():
    moment = pd.to_datetime(pd.Series([50, 199, 200, 250, None]), unit="us", utc=True).astype("datetime64[us, UTC]")
    rows, splits = pd.DataFrame({"timestamp": moment}), Splits(50, 100, 200)
    assert splits.may_judge(rows).tolist() == [False, False, True, True, True]
    paged = rows.assign(request_id=[None, "page", "page", None, None])
    assert splits.may_judge(paged).tolist() == [False, True, True, True, True]
    assert splits.may_judge(paged.head(0)).tolist() == []


def happened(shuffled: bool):
    """Events of five shoppers, several at one instant; three kinds; their vectors in a table of four."""
    rng = np.random.default_rng(3)
    n = 400
    moment = np.sort(rng.integers(0, 60, n))
    order = rng.permutation(n) if shuffled else np.arange(n)
    shopper = pd.Series([f"s{code}" for code in rng.integers(0, 5, n)], dtype="str")
    return shopper, moment[order], rng.integers(0, 3, n), rng.integers(0, 4, n), rng.standard_normal((4, 2))


@pytest.mark.parametrize("shuffled", [False, True])
def test_ranges_within_a_kind_are_those_of_the_kinds_own_events(shuffled):
    """Against a loop over all events, for windows and from the beginning, strangers included."""
    shopper, moment, kind, row, table = happened(shuffled)
    timeline = Timeline.of(shopper, moment)
    asked, until = pd.Series(["s0", "s3", "nobody", "s4", "s0"], dtype="str"), np.array([30, 60, 60, 0, 31])
    for since in (None, until - 7):
        chosen = kind[timeline.order] == 1
        found = timeline.rows(asked, until, since).within(chosen)
        sums = found.sums_of(table, row[timeline.order][chosen])
        last = found.last(timeline.moment[chosen], -1)
        for number, (who, end) in enumerate(zip(asked, until, strict=True)):
            begin = -1 if since is None else since[number]
            inside = (shopper == who).to_numpy() & (kind == 1) & (moment >= begin) & (moment < end)
            assert found.count[number] == inside.sum()
            assert last[number] == max(moment[inside], default=-1)
            np.testing.assert_allclose(sums[number], table[row[inside]].sum(axis=0), atol=1e-12)


def test_a_null_shopper_is_nobody():
    shopper = pd.Series(["b", None, "a", None, "b"], dtype="str")
    timeline = Timeline.of(shopper, np.arange(5))
    assert timeline.rows(pd.Series(["a", "b", None], dtype="str"), np.full(3, 9)).count.tolist() == [1, 2, 0]


def test_texts_are_embedded_once_each():
    space = TextSpace.fit(["red shoes", "blue shoes", "green dress"], dimensions=2, seed=0)
    texts = pd.Series(["red shoes", None, "blue shoes", "red shoes"], dtype="str")
    row, vectors = space.distinct(texts)
    assert len(vectors) == 3  # two texts and null
    np.testing.assert_array_equal(vectors[row], space.embed(texts))
    assert not vectors[row][1].any()


def test_time_is_cut_no_later_than_the_log_ends():
    """A row that came in late, from after the log's end, does not stretch the shares of time."""
    moment = pd.Series(pd.to_datetime([0, 100, 1000], unit="us", utc=True)).astype("datetime64[us, UTC]")
    rows, config = pd.DataFrame({"timestamp": moment}), FeaturesConfig(train_share=0.5, calibration_share=0.1)
    ends_at = pd.Timestamp(100, unit="us", tz="UTC")
    assert Splits.fit(rows, config, ends_at) == Splits(50, 60, 70)
    assert Splits.fit(rows, config, None).train_until == 500


def test_a_zero_is_stored_without_its_sign():
    """Rounding gives -0 or 0 by the last bits of a matrix product, which differ from run to run."""
    assert to_npz(PriceBands(np.array([-0.0, 1.0]))) == to_npz(PriceBands(np.array([0.0, 1.0])))


def test_one_query_has_the_rows_that_it_has_among_others():
    """The short ways of a single query are those of many: by the naive twin, which looks at every event."""
    random = np.random.default_rng(0)
    shopper, moment = random.integers(0, 4, 200), np.sort(random.integers(0, 50, 200))
    timeline, chosen = Timeline.of(shopper, moment), random.random(200) < 0.4
    until, since = random.integers(0, 55, 40), random.integers(0, 55, 40)
    who = random.integers(-1, 4, 40)
    places = {code: place for place, code in enumerate(timeline.shoppers)}
    codes = np.array([places.get(code, -1) for code in who])
    together = timeline.rows_of(codes, until, since)
    together_chosen = together.within(chosen)
    for query in range(40):
        rows = timeline.rows_of(codes[[query]], until[[query]], since[[query]])
        expected = (shopper == who[query]) & (since[query] <= moment) & (moment < until[query])
        assert rows.count[0] == together.count[query] == expected.sum()
        counted = rows.within(chosen)
        assert counted.count[0] == together_chosen.count[query] == (chosen & expected[timeline.order]).sum()
        assert counted.start[0] == together_chosen.start[query]
