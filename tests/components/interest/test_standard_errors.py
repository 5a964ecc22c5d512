"""How sure a model is of the difference between creatives: against dense algebra, the full covariance and the truth."""

from dataclasses import replace

import numpy as np
import pytest

from components.features import build_features, fit_features
from components.features.time_splits import SELECT, TRAIN
from components.interest.calibrated_model import CalibratedModel
from components.interest.calibration import Platt
from components.interest.model_kinds import MODEL_KINDS
from components.interest.model_protocol import Pairs
from components.interest.models.logistic import PAIR_MAP_FILE, Logistic
from components.interest.models.two_tower import Network
from components.interest.predictions import logged_pairs, pair_errors, pairs_at, score_pairs
from components.interest.training import train_calibrated
from components.policies.eligible import eligible_pairs
from components.settings.errors import UserError
from components.settings.sections import EvaluationConfig, FeaturesConfig, InterestConfig, PolicyConfig, Settings
from components.workflow.run_stage import checked
from tests.components.features.shop import shop

FEATURES = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3, select_share=0.39)


@pytest.fixture(scope="module")
def tables():
    return shop(seed=5, impressions=6000, liking=1.5)


@pytest.fixture(scope="module")
def features(tables):
    return build_features(fit_features(tables, FEATURES), tables, FEATURES)


@pytest.fixture(scope="module")
def trained(features) -> CalibratedModel:
    return train_calibrated(features, "logistic", InterestConfig(bootstrap=20))


@pytest.fixture(scope="module")
def pairs(tables, features) -> Pairs:
    """Every creative of the campaign for some impressions."""
    eligible = eligible_pairs(tables, features.of(SELECT).head(150))
    row, column = (
        features.impressions.set_index("impression_id").index.get_indexer(eligible["impression_id"]),
        features.creatives.set_index("creative_id").index.get_indexer(eligible["creative_id"]),
    )
    return pairs_at(features, row, column)


def design(model: Logistic, pairs: Pairs) -> np.ndarray:
    impressions, creatives = pairs.impressions.iloc[pairs.row], pairs.creatives.iloc[pairs.column]
    return model.scales.pairs.design(impressions, creatives, pairs.values_of(model.scales.pairs.pairs)).astype(float)


def contrasts(columns: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """The columns minus their mean over each decision."""
    mean = np.stack([columns[decision == one].mean(axis=0) for one in range(decision.max() + 1)])
    return columns - mean[decision]


def full_covariance(model: Logistic, features) -> np.ndarray:
    """Of all weights by the Laplace approximation: the inverse of the Hessian of the negative log posterior."""
    training, _ = logged_pairs(features, TRAIN)
    columns, deviations = design(model, training), model.scales.deviations
    probability = 1 / (1 + np.exp(-model.logits(training)))
    scaled = np.column_stack([np.ones(len(columns)), columns * deviations])
    hessian = (scaled * (probability * (1 - probability))[:, None]).T @ scaled
    hessian[np.arange(1, len(hessian)), np.arange(1, len(hessian))] += 1.0
    return np.linalg.inv(hessian)[1:, 1:] * np.outer(deviations, deviations)


def test_they_are_those_of_the_dense_design(trained, pairs):
    model = trained.model
    dense = np.sqrt(contrasts(design(model, pairs), pairs.row) ** 2 @ model.scales.variances)
    found = model.standard_errors(pairs, pairs.row)
    assert found.min() > 0
    np.testing.assert_allclose(found, dense, rtol=1e-5)


def test_a_decision_about_several_impressions_has_the_errors_of_their_mean(trained, pairs):
    model, by_campaign = trained.model, pairs.impressions["campaign"].to_numpy()[pairs.row]
    cell = np.unique(by_campaign, return_inverse=True)[1]
    columns, creative = design(model, pairs), pairs.column
    mean = np.zeros_like(columns)
    for place in range(len(columns)):
        mean[place] = columns[(cell == cell[place]) & (creative == creative[place])].mean(axis=0)
    due = np.sqrt(contrasts(mean, cell) ** 2 @ model.scales.variances)
    np.testing.assert_allclose(model.standard_errors(pairs, cell), due, rtol=1e-4, atol=1e-7)
    assert due.mean() < model.standard_errors(pairs, pairs.row).mean(), "what differs between shoppers averages out"


def test_the_order_of_pairs_and_other_decisions_change_nothing(trained, pairs):
    found, order = trained.model.standard_errors(pairs, pairs.row), np.random.default_rng(0).permutation(len(pairs.row))
    shuffled = replace(pairs, row=pairs.row[order], column=pairs.column[order], values=pairs.values[order])
    np.testing.assert_allclose(trained.model.standard_errors(shuffled, shuffled.row), found[order], rtol=1e-5)
    first = pairs.row == 0
    alone = replace(pairs, row=pairs.row[first], column=pairs.column[first], values=pairs.values[first])
    np.testing.assert_allclose(trained.model.standard_errors(alone, alone.row), found[first], rtol=1e-5)


def test_they_are_close_to_those_of_the_full_covariance(trained, pairs, features):
    covariance = full_covariance(trained.model, features)
    columns = contrasts(design(trained.model, pairs), pairs.row)
    full = np.sqrt(np.einsum("ij,jk,ik->i", columns, covariance, columns))
    ratio = trained.model.standard_errors(pairs, pairs.row) / full
    assert 0.9 < np.median(ratio) < 1.1 and (np.abs(np.log(ratio)) < np.log(1.5)).mean() > 0.95


def test_calibration_and_probability_scale_them(trained, pairs, tables, features):
    flat = replace(trained, platt=Platt(0.5, 0.1, -2.0))
    raw = trained.model.standard_errors(pairs, pairs.row)
    np.testing.assert_allclose(flat.standard_errors(pairs, pairs.row), 0.5 * raw)
    eligible = eligible_pairs(tables, features.of(SELECT).head(150))
    scored = score_pairs(flat, features, eligible, errors=True)
    odds = scored["p_click"] * (1 - scored["p_click"])
    np.testing.assert_allclose(scored["p_click_error"], 0.5 * raw * odds)
    np.testing.assert_array_equal(pair_errors(flat, features, scored), scored["p_click_error"])


def test_more_rows_make_it_surer(features, trained):
    fewer = replace(features, impressions=features.impressions[features.impressions.index % 4 == 0])
    less_sure = train_calibrated(fewer, "logistic", InterestConfig(bootstrap=20)).model

    def of_matches(model: Logistic) -> float:
        """Posterior over prior variance of the weights on tastes: what the clicks left of the doubt."""
        places = [place for place, group in enumerate(model.scales.pairs.groups) if group == "match"]
        prior = model.scales.deviations[places] ** 2
        return float((model.scales.variances[places][prior > 0] / prior[prior > 0]).mean())

    assert of_matches(trained.model) < of_matches(less_sure) < 1


def test_a_model_of_an_earlier_release_scores_as_before_and_says_that_it_has_none(trained, pairs):
    earlier = replace(trained.model, scales=replace(trained.model.scales, variances=None))
    files = earlier.files()
    assert len(files[PAIR_MAP_FILE]) < len(trained.model.files()[PAIR_MAP_FILE])
    again = Logistic.from_files(files)
    np.testing.assert_array_equal(again.logits(pairs), trained.model.logits(pairs))
    with pytest.raises(UserError, match="kept no standard errors; train it again, or choose a policy"):
        again.standard_errors(pairs, pairs.row)


def test_they_survive_the_files(trained, pairs):
    again = CalibratedModel.from_files(trained.files())
    np.testing.assert_array_equal(again.standard_errors(pairs, pairs.row), trained.standard_errors(pairs, pairs.row))


def test_a_kind_says_whether_its_models_have_them():
    classes = {"logistic": Logistic, "network": Network}
    assert set(classes) == set(MODEL_KINDS)
    for name, kind in MODEL_KINDS.items():
        assert kind.has_errors == hasattr(classes[name], "standard_errors")


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_a_model_without_them_is_named(trained, pairs):
    with pytest.raises(UserError, match="the interest model network gives no standard errors, which the policy needs"):
        replace(trained, model=_Named("network")).standard_errors(pairs, pairs.row)


def test_a_policy_that_needs_them_is_refused_at_the_start_beside_a_model_without_them():
    def settings(policy: str, *models: str) -> Settings:
        return Settings(
            interest=InterestConfig(models=models), evaluation=EvaluationConfig(policy=PolicyConfig(name=policy))
        )

    said = "thompson needs the standard errors of the scores, and the interest model network gives none; set"
    for models in (("logistic", "network"), ("network",)):
        with pytest.raises(UserError, match=rf"evaluation.policy.name: {said} interest.models=\[logistic\], or choose"):
            checked(settings("thompson", *models))
    assert checked(settings("thompson", "logistic")) and checked(settings("softmax", "logistic", "network"))
