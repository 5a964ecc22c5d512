import numpy as np
import pandas as pd
import pytest

from components.features import build_features, creative_features, fit_features
from components.features.time_splits import JUDGE, SELECT, TRAIN
from components.interest import logged_pairs, predict_pairs
from components.interest.training import train_calibrated
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import DAYS, START, shop

CONFIG = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
MIDDLE = START + pd.Timedelta(days=DAYS) / 4  # training ends later
JUDGED = START + pd.Timedelta(days=DAYS) * 0.9  # all models are trained before


def with_open_columns(creatives_from, products_from, shoppers_from, seed=0):
    """The small shop with open columns of numbers and words; every second row's are known from the moment given on."""
    rng, tables = np.random.default_rng(seed), dict(shop())
    for name, moment in (("creatives", creatives_from), ("products", products_from), ("shoppers", shoppers_from)):
        n = len(tables[name])
        begins = pd.Series([moment] * n, dtype="datetime64[us, UTC]").where(np.arange(n) % 2 == 0)
        numbers, words = rng.normal(size=n), pd.Series(rng.choice(["a", "b"], n), dtype="str")
        tables[name] = tables[name].assign(features_from=begins, feature_number=numbers, feature_word=words)
    return tables


def scrambled(tables, seed=1):
    """Other values in the open columns that are known from a moment on."""
    rng, changed = np.random.default_rng(seed), dict(tables)
    for name in ("creatives", "products", "shoppers"):
        timed = tables[name]["features_from"].notna()
        other = tables[name]["feature_number"].where(~timed, rng.normal(5, 1, len(timed)))
        word = tables[name]["feature_word"].where(~timed, "c")
        changed[name] = tables[name].assign(feature_number=other, feature_word=word)
    return changed


def as_known_at(tables, moment):
    """The tables with open columns that are not known at `moment` set to null: the slow and obvious way."""
    known = dict(tables)
    for name in ("creatives", "products", "shoppers"):
        hidden = tables[name]["features_from"] > moment
        known[name] = tables[name].assign(
            **{each: tables[name][each].mask(hidden) for each in ("feature_number", "feature_word")}
        )
    return known


@pytest.fixture(scope="module")
def tables():
    return with_open_columns(MIDDLE, MIDDLE + pd.Timedelta(days=2), MIDDLE)


@pytest.fixture(scope="module")
def model(tables):
    return fit_features(tables, CONFIG)


@pytest.fixture(scope="module")
def features(model, tables):
    return build_features(model, tables, CONFIG)


def test_an_impression_sees_open_columns_of_its_shopper_from_their_moment_on(tables, features, model):
    names = ["shopper_number", "shopper_word:a", "shopper_word:b"]
    shoppers = tables["shoppers"].set_index("shopper_id")
    rows = features.impressions[features.impressions["consent"]]
    begins = shoppers["features_from"].reindex(rows["shopper_id"]).to_numpy()
    early = (begins > rows["timestamp"].to_numpy()) & ~pd.isna(begins)
    assert early.any() and (~early).any()
    nothing = [np.float32(model.shopper.means[0]), 0.0, 0.0]
    np.testing.assert_array_equal(rows.loc[early, names], np.tile(nothing, (early.sum(), 1)).astype(np.float32))
    own = shoppers["feature_number"].reindex(rows["shopper_id"]).to_numpy(np.float32)
    np.testing.assert_array_equal(rows.loc[~early, "shopper_number"], own[~early])


@pytest.mark.parametrize("split", [TRAIN, "calibrate", SELECT, JUDGE])
def test_a_pair_sees_open_columns_of_creative_and_product_from_their_moments_on(tables, features, model, split):
    pairs, _ = logged_pairs(features, split)
    when = pairs.impressions["timestamp"].iloc[pairs.row].reset_index(drop=True)
    met = pairs.creatives.iloc[pairs.column].reset_index(drop=True)
    assert len(features.earlier) > len(tables["creatives"]) // 2
    for moment in [START, MIDDLE, MIDDLE + pd.Timedelta(days=1), MIDDLE + pd.Timedelta(days=2), JUDGED]:
        known = as_known_at(tables, moment)
        slow = creative_features(model, known["creatives"], known["products"], features.looks)
        changes = (MIDDLE, MIDDLE + pd.Timedelta(days=2))
        end = min((each for each in changes if each > moment), default=START + pd.Timedelta(days=99))
        rows = (when >= moment) & (when < end)
        expected = slow.set_index("creative_id").loc[met.loc[rows, "creative_id"]].reset_index()
        pd.testing.assert_frame_equal(met[rows].reset_index(drop=True), expected[list(met)], check_dtype=False)
        pd.testing.assert_frame_equal(features.creatives_at(moment), slow, check_dtype=False)


def test_the_very_moment_counts_as_known(tables, features):
    before = features.creatives_at(MIDDLE - pd.Timedelta(microseconds=1))
    at = features.creatives_at(MIDDLE)
    timed = tables["creatives"]["features_from"].notna().to_numpy()
    own = tables["creatives"]["feature_number"].to_numpy(np.float32)
    np.testing.assert_array_equal(at.loc[timed, "creative_number"], own[timed])
    assert len(set(before.loc[timed, "creative_number"])) == 1


def test_what_becomes_known_after_training_changes_no_model_and_no_earlier_prediction():
    tables = with_open_columns(JUDGED, JUDGED, JUDGED)
    untimed = tables["creatives"]["features_from"].isna()
    liked = tables["creatives"]["feature_number"].where(untimed, 0.0).set_axis(tables["creatives"]["creative_id"])
    chance = 1 / (1 + np.exp(1 - 2 * tables["impressions"]["creative_id"].map(liked)))
    click = (np.random.default_rng(3).random(len(chance)) < chance).astype(np.int64)
    tables = {**tables, "impressions": tables["impressions"].assign(click=click)}
    trained = []
    for each in (tables, scrambled(tables)):
        model = fit_features(each, CONFIG)
        built = build_features(model, each, CONFIG)
        interest = train_calibrated(built, "logistic", InterestConfig())
        asked = built.judged()
        pairs = asked[["impression_id", "creative_id"]]
        trained.append((model.files(), interest.files(), predict_pairs(interest, built, pairs), asked["timestamp"]))
    (first, interest, predicted, when), (second, other, again, _) = trained
    assert first == second
    assert interest == other
    early = (when < JUDGED).to_numpy()
    assert early.sum() > 20 and (~early).sum() > 20
    np.testing.assert_array_equal(predicted[early], again[early])
    assert np.abs(predicted[~early] - again[~early]).max() > 1e-6


def test_a_column_that_is_wholly_later_than_training_is_left_out():
    model = fit_features(with_open_columns(JUDGED, None, None), CONFIG)
    assert "creative_number" in model.creative.free.columns
    creatives = with_open_columns(JUDGED, None, None)["creatives"].assign(features_from=JUDGED)
    later = fit_features({**with_open_columns(None, None, None), "creatives": creatives}, CONFIG)
    assert later.creative.free.columns == ()
    assert later.creative.product.columns != ()


def test_without_moments_there_are_no_versions_and_features_are_as_before():
    tables = with_open_columns(None, None, None)
    without = {name: table.drop(columns="features_from", errors="ignore") for name, table in tables.items()}
    model = fit_features(tables, CONFIG)
    assert model.files() == fit_features(without, CONFIG).files()
    one, other = (build_features(model, each, CONFIG) for each in (tables, without))
    assert len(one.earlier) == len(other.earlier) == 0
    pd.testing.assert_frame_equal(one.impressions, other.impressions)
    pd.testing.assert_frame_equal(one.creatives, other.creatives)
    pairs, _ = logged_pairs(one, TRAIN)
    assert pairs.creatives is one.creatives
