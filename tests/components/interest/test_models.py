"""The contract of every model of interest, on shops whose law is known."""

import numpy as np
import pandas as pd
import pytest

from components.features import build_features, fit_features
from components.features.time_splits import SELECT
from components.interest import CalibratedModel, predict_pairs, train_interest
from components.interest.model_kinds import KINDS
from components.interest.predictions import logged_pairs
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

FEATURES = FeaturesConfig(segments=3, text_dimensions=4, look_dimensions=3, select_share=0.39)
# a small log wants small steps and a strong prior on the network's weights (l2 counts against the mean loss of a row)
CONFIG = InterestConfig(epochs=15, batch_size=128, hidden=(16,), bootstrap=100, learning_rate=3e-3, l2=5e-3)
LIKING = 1.5
EVERY_KIND = [pytest.param(name, marks=[] if name == "logistic" else pytest.mark.slow) for name in KINDS]


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
    """Each kind is trained once."""
    found: dict[str, object] = {}

    def interest(name: str):
        if name not in found:
            found[name] = train_interest(personal, CONFIG.model_copy(update={"models": (name,)}))
        return found[name]

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
    each = champion.predict(logged.impressions, logged.creatives)[logged.row, logged.column]
    np.testing.assert_allclose(each[fresh], champion.probabilities(logged)[fresh], rtol=1e-6)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_creative_never_seen_gets_a_probability(name, trained, personal):
    new = personal.creatives.head(3).assign(creative_id=["new1", "new2", "new3"], product_id=None)
    rows = personal.impressions.head(3)
    probability = trained(name).champion.predict(rows, new)
    assert ((probability > 0.005) & (probability < 0.6)).all()
