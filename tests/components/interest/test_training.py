import dataclasses
import sys
from subprocess import run

import numpy as np
import pandas as pd
import pytest

from components.features import build_features, fit_features
from components.features.time_splits import JUDGE, SELECT, TRAIN
from components.interest import CalibratedModel, predict_pairs, score_pairs, train_interest
from components.interest.metrics import BootstrapEstimate
from components.interest.predictions import logged_pairs
from components.interest.training import CandidateModel, choose_champion, interest_gate
from components.policies.eligible import eligible_blocks, eligible_pairs
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

# figures are of the select slice, and this small shop has few rows: nearly all that is left after calibration
FEATURES = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3, select_share=0.39)
CONFIG = InterestConfig(models=("logistic",), bootstrap=50)


@pytest.fixture(scope="module")
def tables():
    return shop(seed=3, impressions=2000, liking=1.0)


@pytest.fixture(scope="module")
def interest(features):
    return train_interest(features, CONFIG)


def candidate(name: str, log_loss: float, low: float, high: float) -> CandidateModel:
    return CandidateModel(name, log_loss, BootstrapEstimate((low + high) / 2, low, high), report=None)


def test_the_simpler_model_wins_a_tie():
    simple = candidate("logistic", 0.100, 0.0, 0.0)
    assert choose_champion((simple, candidate("network", 0.099, -0.002, 0.001))) == 0
    assert choose_champion((simple, candidate("network", 0.097, -0.005, -0.001))) == 1
    assert choose_champion((simple, candidate("a", 0.098, -0.003, -0.001), candidate("b", 0.097, -0.004, -0.002))) == 2


def with_clicks(features, split: str):
    """The features with a click on every impression of `split`."""
    late = features.impressions["split"] == split
    flipped = features.impressions.assign(click=features.impressions["click"].where(~late, 1))
    return dataclasses.replace(features, impressions=flipped)


def test_selecting_rows_teach_nothing(features, interest):
    again = train_interest(with_clicks(features, SELECT), CONFIG)
    assert again.champion.files() == interest.champion.files()
    assert again.report.clicks > interest.report.clicks


def test_judged_rows_are_not_looked_at(features, interest):
    """Neither the model nor any figure of it: whoever reads the report has not seen the rows that judge policies."""
    again = train_interest(with_clicks(features, JUDGE), CONFIG)
    assert (features.impressions["split"] == JUDGE).any()
    assert again.champion.files() == interest.champion.files()
    assert again.to_dict() == interest.to_dict()


def test_refusing_shoppers_teach_nothing(tables, features):
    pairs, click = logged_pairs(features, TRAIN)
    refusing = set(tables["shoppers"].loc[~tables["shoppers"]["consent"], "shopper_id"])
    assert refusing and not refusing & set(pairs.impressions["shopper_id"])
    consenting = features.impressions["consent"] & (features.impressions["split"] == TRAIN)
    assert len(click) == consenting.sum()
    assert pairs.impressions["timestamp"].iloc[pairs.row].is_monotonic_increasing


def test_a_stored_champion_scores_with_its_own_features(tables, model, features, interest):
    """A later model with other columns cannot be mistaken for the one that the champion was trained with."""
    other_settings = FEATURES.model_copy(update={"text_dimensions": 2, "image_dimensions": 2})
    other = build_features(fit_features(tables, other_settings), tables, other_settings)
    champion = CalibratedModel.from_files(interest.champion.files())
    pairs = features.impressions[["impression_id", "creative_id"]].head(50)
    with pytest.raises(UserError, match="stored beside it"):
        predict_pairs(champion, other, pairs)
    rebuilt = build_features(type(model).from_files(model.files()), tables, FEATURES)
    np.testing.assert_array_equal(
        predict_pairs(champion, rebuilt, pairs), predict_pairs(interest.champion, features, pairs)
    )


def test_pairs_scored_in_blocks_have_the_scores_of_all_together(tables, features, interest):
    rows = features.rows_of(SELECT, JUDGE)
    held_out = features.impressions.iloc[rows]
    blocks = list(eligible_blocks(tables, held_out, 40))
    assert len(blocks) == -(-len(rows) // 40) > 3
    scored = [score_pairs(interest.champion, features, pairs, rows[row]) for row, pairs in blocks]
    whole = score_pairs(interest.champion, features, eligible_pairs(tables, held_out))
    found = pd.concat(scored, ignore_index=True)
    pd.testing.assert_frame_equal(found[["impression_id", "creative_id"]], whole[["impression_id", "creative_id"]])
    np.testing.assert_allclose(found["p_click"], whole["p_click"], rtol=1e-6)  # products of float32


def test_exposures_to_the_same_product_count_strictly_before(tables, features):
    pairs, _ = logged_pairs(features, SELECT)
    shown = tables["impressions"].merge(tables["creatives"][["creative_id", "product_id"]], on="creative_id")
    for number in range(0, len(pairs.row), 97):
        row = pairs.impressions.iloc[pairs.row[number]]
        product = pairs.creatives["product_id"].iloc[pairs.column[number]]
        past = shown[(shown["shopper_id"] == row["shopper_id"]) & (shown["product_id"] == product)]
        past = past[past["timestamp"] < row["timestamp"]]
        assert pairs.values[number, pairs.names.index("repeats:ever")] == pytest.approx(np.log2(1 + len(past)))


def test_without_shopper_history_there_are_no_repeats(tables):
    profile = FEATURES.model_copy(update={"shopper_history": False})
    features = build_features(fit_features(tables, profile), tables, profile)
    assert logged_pairs(features, TRAIN)[0].names == ()
    trained = train_interest(features, CONFIG)
    assert CalibratedModel.from_files(trained.champion.files()).pairs == ()


def test_the_gate_says_why(interest):
    strict = CONFIG.model_copy(update={"max_calibration_error": 0.0001})
    passed, reasons = interest_gate(interest.report, strict)
    assert not passed and "max_calibration_error" in reasons[-1]
    assert interest_gate(interest.report, CONFIG.model_copy(update={"max_calibration_error": 0.5})) == (True, ())
    worse = dataclasses.replace(interest.report, gain=BootstrapEstimate(-0.01, -0.02, -0.005))
    passed, reasons = interest_gate(worse, CONFIG.model_copy(update={"max_calibration_error": 0.5}))
    assert not passed and "not surely below the base rate's" in reasons[0]
    unsure = dataclasses.replace(interest.report, gain=BootstrapEstimate(0.001, -0.001, 0.003))
    assert not interest_gate(unsure, CONFIG.model_copy(update={"max_calibration_error": 0.5}))[0]


def test_mistakes_are_named(features, interest):
    with pytest.raises(UserError, match="'forest'; there are logistic, network"):
        train_interest(features, CONFIG.model_copy(update={"models": ("logistic", "forest")}))
    with pytest.raises(UserError, match=r"interest\.models is empty"):
        train_interest(features, CONFIG.model_copy(update={"models": ()}))
    silent = type(features)(features.impressions.assign(click=0), features.creatives, features.shopper_profiles)
    with pytest.raises(UserError, match="no click"):
        train_interest(silent, CONFIG)
    unknown = features.impressions[["impression_id", "creative_id"]].head(2).assign(creative_id="nobody")
    with pytest.raises(UserError, match="creative_id 'nobody'"):
        predict_pairs(interest.champion, features, unknown)


@pytest.mark.parametrize(
    "damage",
    [{"calibration.json": b"{}"}, {"logistic.skops": b"rubbish"}, {"pairs.npz": b"rubbish"}],
)
def test_damaged_files_are_an_error_in_one_sentence(interest, damage):
    with pytest.raises(UserError):
        CalibratedModel.from_files({**interest.champion.files(), **damage})


def test_a_stored_estimator_of_a_foreign_type_is_not_loaded(interest):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    foreign = skops.io.dumps(FunctionTransformer(func=shop))
    with pytest.raises(UserError, match=r"logistic\.skops"):
        CalibratedModel.from_files({**interest.champion.files(), "logistic.skops": foreign})


def test_a_logistic_champion_needs_no_tensorflow():
    code = (
        "import sys, components.interest\n"
        "from components.interest import train_interest\n"
        "from tests.components.interest.test_training import CONFIG, FEATURES, shop, fit_features, build_features\n"
        "tables = shop(impressions=600)\n"
        "features = build_features(fit_features(tables, FEATURES), tables, FEATURES)\n"
        "champion = train_interest(features, CONFIG).champion\n"
        "type(champion).from_files(champion.files())\n"
        "print([m for m in ('tensorflow', 'keras', 'jax') if m in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("split", ["calibrate", "select"])
def test_a_split_without_consenting_rows_is_said(features, split):
    paused = features.impressions[features.impressions["split"] != split]
    with pytest.raises(UserError, match=f"no row of a consenting shopper in the time of {split}"):
        train_interest(dataclasses.replace(features, impressions=paused), CONFIG)
