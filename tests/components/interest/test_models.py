"""The contract of every interest model, on shops whose click law is known."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.files.tables import files_in
from components.features import build_features, fit_features
from components.features.time_splits import SELECT
from components.interest import CalibratedModel, predict_pairs, train_interest
from components.interest.model_kinds import MODEL_KINDS, Flavour
from components.interest.predictions import logged_pairs
from components.registry.mlflow_flavours import log_interest
from components.registry.mlflow_store import ModelRecord, fetch_package, open_store, register
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, InterestConfig, Settings
from components.workflow.run_stage import checked
from tests.components.features.shop import shop
from tests.components.interest import category_rates

FEATURES = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3, select_share=0.39)
# a small log wants small steps and a strong prior on the network's weights (l2 counts against the mean loss of a row)
NETWORK = {"epochs": 15, "batch_size": 128, "hidden": (16,), "learning_rate": 3e-3, "l2": 5e-3}
CONFIG = InterestConfig(network=NETWORK, bootstrap=100)
LIKING = 1.5
EVERY_KIND = [pytest.param(name, marks=[] if name == "logistic" else pytest.mark.slow) for name in MODEL_KINDS]


def features_of(liking: float):
    tables = shop(seed=5, impressions=6000, liking=liking)
    return build_features(fit_features(tables, FEATURES), tables, FEATURES)


@pytest.fixture(scope="module")
def personal():
    return features_of(LIKING)


@pytest.fixture(scope="module")
def indifferent():
    return features_of(0.0)


@pytest.fixture(scope="module")
def trained(personal):
    """Kind -> trained model; each kind is trained once."""
    trained_models: dict[str, object] = {}

    def interest(name: str):
        if name not in trained_models:
            trained_models[name] = train_interest(personal, CONFIG.model_copy(update={"models": (name,)}))
        return trained_models[name]

    return interest


def every_pair(features) -> pd.DataFrame:
    """All creatives of the campaign for the first selecting impressions."""
    late = features.impressions[features.impressions["split"] == SELECT].head(200)
    return late[["impression_id", "campaign"]].merge(features.creatives[["creative_id", "campaign"]], on="campaign")


@pytest.mark.parametrize("name", EVERY_KIND)
def test_it_learns_who_likes_which_category(name, trained, personal):
    interest = trained(name)
    assert interest.report.gain.ci_low > 0.01
    pairs = every_pair(personal)
    probability = predict_pairs(interest.champion, personal, pairs)
    shares = (
        personal.impressions.set_index("impression_id").filter(like="shopper_category:").loc[pairs["impression_id"]]
    )
    shown = personal.creatives.set_index("creative_id").filter(like="creative_category:").loc[pairs["creative_id"]]
    shown.columns = [column.replace("creative", "shopper") for column in shown]
    match = (shares.to_numpy() * shown[shares.columns].to_numpy()).sum(axis=1)
    favourite, other = probability[match > 0.5], probability[match < 0.2]
    # the law: odds of 1/9 times e^1.5 against odds of 1/9 times e^-0.5
    assert 0.2 < favourite.mean() < 0.42 and 0.045 < other.mean() < 0.11


@pytest.mark.parametrize("name", EVERY_KIND)
def test_its_probabilities_hold_on_later_rows(name, trained):
    report = trained(name).report
    assert abs(report.mean_probability - report.clicks / report.impressions) < 0.015
    assert report.calibration_error.value < 0.03
    assert report.log_loss == pytest.approx(report.base_log_loss - report.gain.value)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_without_any_effect_it_predicts_the_base_rate(name, indifferent):
    interest = train_interest(indifferent, CONFIG.model_copy(update={"models": (name,)}))
    probability = predict_pairs(interest.champion, indifferent, every_pair(indifferent))
    assert abs(probability.mean() - 0.1) < 0.02 and probability.std() < 0.015
    assert interest.report.gain.ci_high > 0 and abs(interest.report.gain.value) < 0.003


@pytest.mark.parametrize("name", EVERY_KIND)
def test_it_comes_back_from_bytes(name, trained, personal):
    champion = trained(name).champion
    files = champion.files()
    assert all(isinstance(content, bytes) for content in files.values())
    again = CalibratedModel.from_files(files)
    pairs = every_pair(personal)
    np.testing.assert_allclose(
        predict_pairs(again, personal, pairs), predict_pairs(champion, personal, pairs), rtol=1e-6
    )
    assert again.name == name


@pytest.mark.parametrize("name", EVERY_KIND)
def test_the_same_seed_gives_the_same_model(name, trained, personal):
    first, again = trained(name), train_interest(personal, CONFIG.model_copy(update={"models": (name,)}))
    pairs = every_pair(personal)
    np.testing.assert_array_equal(
        predict_pairs(first.champion, personal, pairs), predict_pairs(again.champion, personal, pairs)
    )
    assert first.to_dict() == again.to_dict()
    assert first.champion.files() == again.champion.files()


@pytest.mark.parametrize("name", EVERY_KIND)
def test_pairs_are_scored_one_by_one_or_together_alike(name, trained, personal):
    champion = trained(name).champion
    pairs = every_pair(personal)
    together = predict_pairs(champion, personal, pairs)
    assert together.dtype == np.float64 and ((together > 0) & (together < 1)).all()
    shuffled = pairs.sample(frac=1.0, random_state=0)
    np.testing.assert_allclose(predict_pairs(champion, personal, shuffled), together[shuffled.index], rtol=1e-6)
    logged, _ = logged_pairs(personal, SELECT)
    fresh = (logged.values == 0).all(axis=1)
    one_by_one = champion.predict(logged.impressions, logged.creatives)[logged.row, logged.column]
    np.testing.assert_allclose(one_by_one[fresh], champion.probabilities(logged)[fresh], rtol=1e-6)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_creative_never_seen_gets_a_probability(name, trained, personal):
    new = personal.creatives.head(3).assign(creative_id=["new1", "new2", "new3"], product_id=None)
    rows = personal.impressions.head(3)
    probability = trained(name).champion.predict(rows, new)
    assert ((probability > 0.005) & (probability < 0.6)).all()


def registered(champion: CalibratedModel, folder: Path, name: str):
    """The champion's registered version, published as in a run, and the URI of its MLflow flavour."""
    for file, content in champion.files().items():
        (folder / "interest").mkdir(parents=True, exist_ok=True)
        (folder / "interest" / file).write_bytes(content)
    uris = []

    def log_native() -> str:
        uris.append(log_interest(UPath(folder)))
        return uris[-1]

    return register(open_store(), ModelRecord(name, folder, log_native, "shop", "0" * 64)), uris[0]


def from_mlflow(kind: str, champion: CalibratedModel, uri: str, personal) -> tuple[np.ndarray, np.ndarray]:
    """P(click) of the logged rows: by the model that MLflow loads from `uri`, and by the champion."""
    import mlflow.keras
    import mlflow.pyfunc
    import mlflow.sklearn

    logged, _ = logged_pairs(personal, SELECT)
    unseen = replace(logged, values=np.zeros_like(logged.values))
    if MODEL_KINDS[kind].flavour is Flavour.PYFUNC:
        creatives = logged.creatives.iloc[logged.column].filter(like="creative_").drop(columns="creative_id")
        both = [logged.impressions.iloc[logged.row].drop(columns="creative_id"), creatives]
        frame = pd.concat([part.reset_index(drop=True) for part in both], axis=1)
        return mlflow.pyfunc.load_model(uri).predict(frame)["p_click"].to_numpy(), champion.probabilities(unseen)
    load = {Flavour.SKLEARN: mlflow.sklearn.load_model, Flavour.KERAS: mlflow.keras.load_model}[
        MODEL_KINDS[kind].flavour
    ]
    native = MODEL_KINDS[kind].native(champion.model)
    place = next(field.name for field in fields(champion.model) if getattr(champion.model, field.name) is native)
    loaded = replace(champion, model=replace(champion.model, **{place: load(uri)}))
    return loaded.probabilities(logged), champion.probabilities(logged)


@pytest.fixture
def loading(monkeypatch):
    """Set the variable that MLflow needs before it loads its own flavours; Adloom loads none of them."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")


@pytest.mark.usefixtures("loading")
@pytest.mark.parametrize("name", EVERY_KIND)
def test_it_is_registered_and_comes_back(name, trained, personal, tmp_path):
    """The package with the same bytes, and the same predictions from MLflow's own flavour."""
    champion = trained(name).champion
    version, uri = registered(champion, tmp_path / "model", f"shop-{name}")
    fetch_package(version, tmp_path / "fetched")
    fetched = files_in(UPath(tmp_path / "fetched" / "interest"))
    again, pairs = CalibratedModel.from_files(fetched), every_pair(personal)
    assert dict(fetched) == dict(files_in(UPath(tmp_path / "model" / "interest")))
    np.testing.assert_allclose(predict_pairs(again, personal, pairs), predict_pairs(champion, personal, pairs), 1e-6)
    np.testing.assert_allclose(*from_mlflow(name, champion, uri, personal), rtol=1e-6)


@pytest.mark.usefixtures("loading")
def test_a_kind_of_ones_own_is_one_file_and_one_line(personal, tmp_path, monkeypatch):
    """Trained by its own settings, calibrated, compared with the others, registered and loaded."""
    monkeypatch.setitem(MODEL_KINDS, "category_rates", category_rates.KIND)
    config = InterestConfig(
        models=("category_rates", "logistic"), category_rates={"prior_impressions": 5.0}, bootstrap=50
    )
    interest = train_interest(personal, config)
    assert [candidate.name for candidate in interest.candidates] == ["logistic", "category_rates"]
    alone = train_interest(personal, config.model_copy(update={"models": ("category_rates",)}))
    champion, pairs = alone.champion, every_pair(personal)
    assert champion.name == "category_rates" and alone.report.clicks > 0
    version, uri = registered(champion, tmp_path / "model", "shop-category-rates")
    fetch_package(version, tmp_path / "fetched")
    again = CalibratedModel.from_files(files_in(UPath(tmp_path / "fetched" / "interest")))
    np.testing.assert_array_equal(predict_pairs(again, personal, pairs), predict_pairs(champion, personal, pairs))
    np.testing.assert_allclose(*from_mlflow("category_rates", champion, uri, personal), rtol=1e-12)
    heavy = config.model_copy(update={"category_rates": {"prior_impressions": 1e9}, "models": ("category_rates",)})
    assert np.ptp(predict_pairs(train_interest(personal, heavy).champion, personal, pairs)) < 1e-6


def test_a_wrong_setting_of_a_kind_is_named_before_a_run_begins(monkeypatch):
    monkeypatch.setitem(MODEL_KINDS, "category_rates", category_rates.KIND)
    for written, words in (
        ({"network": {"epochs": "many"}}, "interest.network.epochs: Input should be a valid integer"),
        ({"network": {"epoch": 3}}, "interest.network.epoch: unknown setting; did you mean epochs"),
        ({"category_rates": {"prior_impressions": 0.0}}, "interest.category_rates.prior_impressions"),
        ({"logistic": {"l2": 0.1}}, "interest.logistic.l2: unknown setting; known here: none"),
        ({"forest": {"trees": 3}}, "interest.forest: no kind of this name is registered; there are logistic, network"),
        ({"models": ("forest",)}, "no model is called 'forest'"),
    ):
        with pytest.raises(UserError, match=words):
            checked(Settings(interest=InterestConfig(**written)))
    complete = checked(Settings()).interest
    assert complete.network == MODEL_KINDS["network"].settings() and complete.category_rates.prior_impressions == 50.0


@pytest.mark.slow
def test_the_losses_of_each_epoch_of_the_network_are_kept_for_its_curves(trained):
    losses = trained("network").losses["network"]
    assert 1 <= len(losses) <= NETWORK["epochs"]
    assert all(set(epoch) == {"training", "held out"} and all(np.isfinite([*epoch.values()])) for epoch in losses)
    assert trained("logistic").losses == {}
