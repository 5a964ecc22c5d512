"""Pair features: what happened strictly before, against a naive twin; and a new one in one line, used and kept."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.features import FeatureModel, build_features, fit_features
from components.features.pairs import PAIR_FEATURES
from components.features.pairs.pair_feature import PairFeature
from components.features.pairs.pair_history import CATEGORY, PRODUCT, PairTables, known_moments, pair_history
from components.features.pairs.pair_values import CHUNK, PairQuery, PairValues, pair_columns
from components.features.time_splits import SELECT, TRAIN
from components.interest import CalibratedModel, predict_pairs
from components.interest.new_pairs import new_pairs
from components.interest.predictions import logged_pairs
from components.interest.segment_scores import draw_audience, segment_scores
from components.interest.training import train_calibrated, train_interest
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

START = pd.Timestamp("2026-03-01", tz="UTC")
BOTH = ("repeats", "category_views_6h")
FEATURES = FeaturesConfig(window_days=(1, 7), pairs=BOTH)
CONFIG = InterestConfig(models=("logistic",), bootstrap=20)


@pytest.fixture(scope="module")
def tables():
    return shop(3, events=4000)


@pytest.fixture(scope="module")
def features(tables):
    return build_features(fit_features(tables, FEATURES), tables, FEATURES)


def small_log(shown, seen):
    """Impressions (shopper, creative, hour, consent) and events (shopper, product, hour, kind, hours late)."""
    impressions = pd.DataFrame(shown, columns=["shopper_id", "creative_id", "hour", "consent"])
    impressions["timestamp"] = START + pd.to_timedelta(impressions.pop("hour"), unit="h")
    events = pd.DataFrame(seen, columns=["shopper_id", "product_id", "hour", "kind", "late"])
    events["timestamp"] = START + pd.to_timedelta(events.pop("hour"), unit="h")
    events["ingested_at"] = events["timestamp"] + pd.to_timedelta(events.pop("late"), unit="h")
    return impressions, events


CREATIVES = pd.DataFrame({"creative_id": ["x", "y", "z"], "product_id": ["p", "p", None]})
PRODUCTS = pd.DataFrame({"product_id": ["p", "q", "r"], "category": ["Bag", "Bag", "Shirt"]})
SHOWN = st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 400), st.booleans())
SEEN = st.tuples(
    st.sampled_from("abd"), st.sampled_from(["p", "q", "r", None]), st.integers(0, 400),
    st.sampled_from(["view", "click"]), st.integers(0, 9),
)  # fmt: skip


def naive(impressions, events, shopper, creative, moment) -> list[float]:
    """The three columns of BOTH, by the words of their definitions."""
    product = dict(zip(CREATIVES["creative_id"], CREATIVES["product_id"], strict=True))
    category = dict(zip(PRODUCTS["product_id"], PRODUCTS["category"], strict=True))
    product = {name: name if pd.isna(own) else own for name, own in product.items()}  # its own subject
    week = ever = views = 0
    for row in impressions.itertuples():
        same = row.shopper_id == shopper and product[row.creative_id] == product[creative]
        if same and row.consent and row.timestamp < moment:
            ever += 1
            week += row.timestamp >= moment - pd.Timedelta(days=7)
    for event in events.itertuples():
        own = category.get(event.product_id)
        if event.shopper_id == shopper and own is not None and own == category.get(product[creative]):
            came = event.ingested_at
            views += event.kind == "view" and moment - pd.Timedelta(hours=6) <= came < moment
    return [np.log2(1 + count) for count in (week, ever, views)]


@settings(max_examples=80, deadline=None)
@given(st.lists(SHOWN, min_size=1, max_size=25), st.lists(SEEN, max_size=25))
def test_each_pair_counts_what_a_naive_loop_counts(shown, seen):
    impressions, events = small_log(shown, seen)
    past = PairTables(events, PRODUCTS)
    values = PairValues(BOTH, pair_history(impressions, CREATIVES, past))
    row, column = np.repeat(np.arange(len(impressions)), 3), np.tile(np.arange(3), len(impressions))
    found = asked(values, impressions, row, column)
    for number, (i, j) in enumerate(zip(row, column, strict=True)):
        shopper, moment = impressions["shopper_id"].iloc[i], impressions["timestamp"].iloc[i]
        expected = naive(impressions, events, shopper, CREATIVES["creative_id"].iloc[j], moment)
        np.testing.assert_allclose(found[number], expected, rtol=1e-6)


def asked(values: PairValues, impressions, row, column) -> np.ndarray:
    from components.features.pairs.pair_history import creative_codes
    from components.features.timeline import microseconds, positions

    history = values.history
    subject = creative_codes(history.subjects, CREATIVES, PairTables(None, PRODUCTS))
    shopper = positions(impressions["shopper_id"], history.shoppers)
    return values.of(PairQuery(shopper, microseconds(impressions["timestamp"]), subject, row, column))


def test_what_came_in_late_counts_from_then_and_what_has_no_such_column_from_when_it_happened():
    _, events = small_log([], [("a", "p", 1, "view", 5), ("a", "p", 2, "view", 0)])
    assert known_moments(events).tolist() == [(START + pd.Timedelta(hours=h)).value // 1000 for h in (6, 2)]
    assert known_moments(events.drop(columns="ingested_at")).tolist() == [
        (START + pd.Timedelta(hours=h)).value // 1000 for h in (1, 2)
    ]


@pytest.mark.parametrize("name", PAIR_FEATURES)
def test_each_feature_of_the_registry_keeps_its_contract(name, tables):
    """Finite numbers of about unit size under names of its own; the future changes nothing; chunks change nothing."""
    feature = PAIR_FEATURES[name]
    assert all(column.partition(":")[0] == name for column in feature.columns)
    assert feature.by in (PRODUCT, CATEGORY) and feature.reads in ("impressions", "events")
    config = FEATURES.model_copy(update={"pairs": (name,)})
    model = fit_features(tables, config)
    built = build_features(model, tables, config)
    impressions = built.impressions
    early = np.flatnonzero(impressions["timestamp"] < START + pd.Timedelta(days=12))
    row = np.repeat(early, len(built.creatives))
    column = np.tile(np.arange(len(built.creatives)), len(early))
    values = built.pairs_of(row, column)
    assert values.dtype == np.float32 and values.shape == (len(row), len(feature.columns))
    assert np.isfinite(values).all() and 0.01 < values.std() < 10
    cut = START + pd.Timedelta(days=12)
    known = {name: table[table["timestamp"] < cut] if "timestamp" in table else table for name, table in tables.items()}
    past = build_features(model, {name: table.reset_index(drop=True) for name, table in known.items()}, config)
    place = past.impressions.set_index("impression_id").index.get_indexer(impressions["impression_id"].iloc[row])
    np.testing.assert_array_equal(past.pairs_of(place, column), values)
    refused_consent = ~impressions["consent"].to_numpy()[row]
    assert refused_consent.any() and (values[refused_consent] == 0).all(), "who refused_consent consent has no past"
    part = slice(7, 2000)
    np.testing.assert_array_equal(built.pairs_of(row[part], column[part]), values[part])


def test_more_pairs_than_a_chunk_are_the_same_pairs(features, monkeypatch):
    row = np.random.default_rng(0).integers(0, len(features.impressions), 5000)
    column = np.random.default_rng(1).integers(0, len(features.creatives), 5000)
    whole = features.pairs_of(row, column)
    monkeypatch.setattr("components.features.pairs.pair_values.CHUNK", 999)
    assert CHUNK > 5000
    np.testing.assert_array_equal(features.pairs_of(row, column), whole)


def test_by_default_pairs_are_the_repeats_alone_and_no_event_is_read(tables):
    config = FeaturesConfig(window_days=(1, 7))
    built = build_features(fit_features(tables, config), tables, config)
    assert built.pairs == ("repeats",) and built.past is None
    assert pair_columns(built.pairs) == ("repeats:7d", "repeats:ever")
    assert not list(draw_audience(built, 2, 5, 0).filter(like="pair_"))


@pytest.mark.parametrize("gone", ["events", "products"])
def test_what_a_data_set_cannot_have_is_left_out_with_a_message(tables, gone):
    left = {name: table for name, table in tables.items() if name != gone}
    if gone == "products":
        left["creatives"] = left["creatives"].assign(product_id=None)
    model = fit_features(left, FEATURES)
    assert model.pairs == ("repeats",)
    assert f"no table {gone}: no pair feature category_views_6h" in model.messages


def test_an_unknown_name_is_one_sentence(tables):
    with pytest.raises(UserError, match=r"features.pairs: no pair feature is called 'views'; there are repeats, cat"):
        fit_features(tables, FEATURES.model_copy(update={"pairs": ("views",)}))


# a pair feature as a newcomer adds one: a record, and one line in the registry
SEARCHED = PairFeature(
    name="product_touches",
    columns=("product_touches",),
    by=PRODUCT,
    reads="events",
    chosen=lambda log: log.kind != "search",
    compute=lambda touches, place, moment: np.log2(1.0 + touches.rows_of(place, moment).count)[:, None],
)


@pytest.fixture
def with_touches(monkeypatch):
    monkeypatch.setitem(PAIR_FEATURES, SEARCHED.name, SEARCHED)
    return FEATURES.model_copy(update={"pairs": ("repeats", SEARCHED.name)})


@pytest.mark.parametrize("kind", ["logistic", "network"])
def test_a_feature_added_by_one_line_is_learned_from_predicted_with_and_survives_saving(with_touches, tables, kind):
    """Clicks follow what was touched before alone, so a model that has learned the feature must say so."""
    model = fit_features(tables, with_touches)
    silent = build_features(model, tables, with_touches)
    shown = silent.creatives["creative_id"].searchsorted(silent.impressions["creative_id"])
    touched = silent.pairs_of(np.arange(len(shown)), shown)[:, 2]
    chance = np.where(touched > 0, 0.6, 0.05)
    clicks = (np.random.default_rng(0).random(len(shown)) < chance).astype(int)
    loud = {**tables, "impressions": tables["impressions"].assign(click=clicks)}
    features = build_features(model, loud, with_touches)
    interest = train_calibrated(features, kind, InterestConfig(bootstrap=20, network={"epochs": 30, "batch_size": 64}))
    assert interest.pairs == ("repeats:7d", "repeats:ever", "product_touches")
    rows = features.of(SELECT)["impression_id"]
    pairs = pd.DataFrame(
        {
            "impression_id": np.repeat(rows.to_numpy(), len(features.creatives)),
            "creative_id": np.tile(features.creatives["creative_id"].to_numpy(), len(rows)),
        }
    )
    predicted = predict_pairs(interest, features, pairs)
    place = features.impressions.set_index("impression_id").index.get_indexer(pairs["impression_id"])
    column = np.tile(np.arange(len(features.creatives)), len(rows))
    value = features.pairs_of(place, column)[:, 2]
    assert predicted[value > 0].mean() > 1.5 * predicted[value == 0].mean()
    again = FeatureModel.from_files(model.files())
    assert again.pairs == ("repeats", SEARCHED.name)
    rebuilt = build_features(again, loud, FeaturesConfig())
    stored = CalibratedModel.from_files(interest.files())
    np.testing.assert_array_equal(predict_pairs(stored, rebuilt, pairs), predicted)


def test_a_model_finds_its_columns_by_name_whatever_their_order_and_says_which_it_lacks(tables, features):
    interest = train_interest(features, CONFIG).champion
    turned = dataclasses.replace(features, pairs=BOTH[::-1])
    pairs = features.impressions[["impression_id", "creative_id"]].head(50)
    np.testing.assert_array_equal(predict_pairs(interest, turned, pairs), predict_pairs(interest, features, pairs))
    with pytest.raises(UserError, match="needs the pair feature category_views_6h, which these features lack"):
        predict_pairs(interest, dataclasses.replace(features, pairs=("repeats",)), pairs)


def test_a_new_creative_is_scored_by_its_category_without_ids_or_times(tables, features):
    """An audience row says for each category what the shopper had looked at; a new product of it has that value."""
    audience = draw_audience(features, 2, 200, 0)
    assert not {"shopper_id", "timestamp", "impression_id"} & set(audience)
    names = pair_columns(features.pairs)
    new = features.creatives.head(4).assign(creative_id=["n0", "n1", "n2", "n3"], product_id=None)
    grid = np.repeat(np.arange(len(audience)), 4), np.tile(np.arange(4), len(audience))
    values = new_pairs(audience, new, *grid, names).values
    assert (values[:, :2] == 0).all(), "nobody has been shown a new product"
    whole = draw_audience(features, 2, 200, 0)
    order = np.array([row for row in range(len(features.impressions))])
    known = features.pairs_of(np.repeat(order, 4), np.tile(np.arange(4), len(order)))[:, 2]
    assert set(np.unique(values[:, 2])) <= set(np.unique(known)) and values[:, 2].any()
    interest = train_interest(features, CONFIG).champion
    assert segment_scores(interest, whole, new).shape == (4, 2)


def test_an_audience_row_has_the_value_that_its_own_impression_has(features):
    rows = np.arange(0, len(features.impressions), 7)
    table = features.pairs_by_category(rows)
    column = 5
    (shown,) = [name for name in features.creatives if name.startswith("creative_category:")
                and features.creatives[name].iloc[column] == 1]  # fmt: skip
    told = table[f"pair_category_views_6h={shown.removeprefix('creative_category:')}"]
    np.testing.assert_array_equal(told, features.pairs_of(rows, np.full(len(rows), column))[:, 2])


def test_training_sees_the_values_of_the_logged_pairs(features):
    pairs, _ = logged_pairs(features, TRAIN)
    assert pairs.names == pair_columns(BOTH) and pairs.values.shape == (len(pairs.row), 3) and pairs.values[:, 2].any()
