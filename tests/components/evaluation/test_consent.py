"""A shopper who refused consent consent nothing: without their rows every model has the same bytes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.evaluation.estimators.action_embedding import embed
from components.evaluation.estimators.reward_models import best, fit_reward_models
from components.evaluation.evaluate import evaluate
from components.evaluation.logged_decisions import logged_decisions
from components.features import build_features, fit_features
from components.features.shoppers.image_segments import segment_shares
from components.generators.photos.training_photos import training_photos
from components.interest import predict_pairs, train_disjoint_models
from components.interest.segment_scores import draw_audience
from components.interest.training import train_calibrated
from components.policies.eligible import eligible_pairs, pair_offsets
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig, FeaturesConfig, InterestConfig
from tests.components.evaluation.logs import known_log
from tests.components.features.shop import shop

CONFIG = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
QUICK = EvaluationConfig(bootstrap=60, clones=4, clone_impressions=1500, min_ess=50, min_clicks=20)
PRIOR = 0.09
ACTIVE = ("active_from", "active_until")


def with_refusers():
    """The small shop with many refusers, who click at everything and frame the log: its first and last rows are theirs.

    Their rows alone are of the placement `ante`, which sorts before all others.
    """
    tables = shop(impressions=4000, liking=1.0)
    rng = np.random.default_rng(8)
    consent = rng.random(len(tables["shoppers"])) > 0.25
    shoppers = tables["shoppers"].assign(consent=consent, feature_age=rng.normal(40, 9, len(consent)).round())
    refusers = shoppers.loc[~consent, "shopper_id"]
    rows = tables["impressions"].sort_values("timestamp", kind="stable").reset_index(drop=True)
    rows.loc[[0, 1, len(rows) - 1], "shopper_id"] = refusers.iloc[0]
    theirs = rows["shopper_id"].isin(refusers)
    rows = rows.assign(
        click=rows["click"].where(~theirs, 1),
        placement=rows["placement"].where(~theirs, "ante"),
        context_tone=rows["placement"].where(~theirs, "ante"),
    )
    always = {name: pd.Series(pd.NaT, tables["creatives"].index, "datetime64[us, UTC]") for name in ACTIVE}
    creatives = tables["creatives"].assign(**always)
    return {**tables, "shoppers": shoppers, "impressions": rows, "creatives": creatives}


def without_refusers(tables):
    consenting = tables["shoppers"].loc[tables["shoppers"]["consent"], "shopper_id"]
    named = ("shoppers", "impressions", "events")
    without = {name: tables[name][tables[name]["shopper_id"].isin(consenting)].reset_index(drop=True) for name in named}
    return {**tables, **without}


def learned(tables):
    model = fit_features(tables, CONFIG)
    built = build_features(model, tables, CONFIG)
    return tables, model, built, train_calibrated(built, "logistic", InterestConfig())


@pytest.fixture(scope="module")
def both():
    tables = with_refusers()
    return learned(tables), learned(without_refusers(tables))


def judged_log(tables, built, interest):
    """The judged rows as a log, with the interest model's probabilities as its score, and a target policy on it."""
    judged = built.judged().merge(tables["impressions"][["impression_id", "context_tone", "propensity"]])
    pairs = eligible_pairs(tables, judged)
    offsets = pair_offsets(pairs, judged)
    score = predict_pairs(interest, built, pairs)
    log = logged_decisions(
        judged,
        pairs,
        offsets,
        built.creatives_at(judged["timestamp"].min()),
        reward=judged["click"].to_numpy(dtype=float),
        score=score,
        consent=judged["consent"].to_numpy(),
        prior=PRIOR,
    )
    return log, score / spread(np.add.reduceat(score, offsets[:-1]), offsets)


def test_the_shop_tells_the_two_apart(both):
    (tables, _, _, _), (rest, _, _, _) = both
    assert 0.1 < 1 - len(rest["impressions"]) / len(tables["impressions"]) < 0.5
    for edge in ("min", "max"):
        assert getattr(tables["impressions"]["timestamp"], edge)() != getattr(rest["impressions"]["timestamp"], edge)()


def test_features_interest_and_the_generators_audience_are_the_same_bytes(both):
    (tables, model, built, interest), (rest, other, again, interest_again) = both
    assert model.files() == other.files()
    assert interest.files() == interest_again.files()
    halves, halves_again = (train_disjoint_models(one, InterestConfig()) for one in (built, again))
    assert [one.files() for one in halves] == [one.files() for one in halves_again] != []
    pd.testing.assert_frame_equal(draw_audience(built, 3, 50, 0), draw_audience(again, 3, 50, 0))
    shares, shares_again = (
        segment_shares(one["events"], one["products"], features.shopper_profiles, 3)
        for one, features in ((tables, built), (rest, again))
    )
    pd.testing.assert_frame_equal(shares, shares_again)
    pd.testing.assert_frame_equal(built.shopper_profiles, again.shopper_profiles)


def test_a_refusers_segment_adds_no_segment_to_the_generators(both):
    _, (_, _, built, _) = both
    images = shop(impressions=10)["images"]
    many = pd.concat([images.assign(image_id=images["image_id"] + f"-{number}") for number in range(3)])
    tables = {"images": many.reset_index(drop=True), "creatives": shop(impressions=10)["creatives"].iloc[:0]}
    far = built.impressions.head(1).assign(consent=False, segment=9)
    odd = replace(built, impressions=pd.concat([built.impressions, far], ignore_index=True))
    segments = [training_photos(tables, features, None)[0].segments for features in (built, odd)]
    assert segments[0] == segments[1]


def test_reward_models_are_the_same_bytes(both):
    fitted = []
    for tables, _, built, interest in both:
        log, target = judged_log(tables, built, interest)
        inputs, models = fit_reward_models(log, (target,), ("boosted",), 2, 0)
        consenting = log.consenting
        pairs = spread(consenting, log.offsets)
        fits = [part.tobytes() for fit in models["logistic"].fits for part in vars(fit).values()]
        shown = {name: models[name].predicted[pairs] for name in models}
        losses = {name: model.log_loss for name, model in models.items()}
        fitted.append(((fits, best(models).name, inputs.fold[consenting].tobytes()), shown, losses))
        others = [models[name].predicted[~pairs] for name in models]
        assert all(np.allclose(predictions, PRIOR, rtol=1e-12) for predictions in others)
    assert (~consenting).sum() == 0 and len(others[0]) == 0  # the second log has no refuser
    (first, shown, losses), (second, again, losses_again) = fitted
    assert first == second
    np.testing.assert_array_equal(shown["boosted"], again["boosted"])
    # a product of matrices rounds its last bit by how many rows it has
    np.testing.assert_allclose(shown["logistic"], again["logistic"], rtol=1e-12)
    assert losses == pytest.approx(losses_again, rel=1e-12)


def test_estimated_shares_of_groups_are_the_same_without_refusers(both):
    shares = []
    for tables, _, built, interest in both:
        log, _ = judged_log(tables, built, interest)
        alike = np.arange(len(log.action_names), dtype=float)[:, None] % 4
        embedding = embed(replace(log, action_features=alike), 0)
        assert embedding.estimated
        shares.append(embedding.logging[spread(log.consenting, log.offsets)].tobytes())
    assert shares[0] == shares[1]


def test_what_refusers_did_still_weighs_in_the_estimates():
    known = known_log(3)
    log = replace(known.log, consent=known.log.cluster % 4 != 0, prior=0.05)
    flipped = np.where(log.consent, log.reward, 1 - log.reward)
    first, second = (
        evaluate(evaluation, known.target, QUICK) for evaluation in (log, log.with_reward(flipped, (0.0, 1.0)))
    )
    values = [
        {estimate.estimator: estimate.interval.value for estimate in evaluation.estimates}
        for evaluation in (first, second)
    ]
    assert values[1]["ips"] > values[0]["ips"] + 0.1
    assert values[1]["dr"] > values[0]["dr"] + 0.1
    assert values[1]["dm"] == values[0]["dm"]  # the model alone has not heard of it


def test_doubly_robust_estimates_stay_unbiased_whatever_the_constant():
    gaps = []
    for seed in range(12):
        known = known_log(seed, n=3000)
        for prior in (None, 0.5):
            log = replace(known.log, consent=known.log.cluster % 3 != 0, prior=prior)
            config = QUICK.model_copy(update={"reward_models": (), "clones": 2})
            values = {
                estimate.estimator: estimate.interval.value
                for estimate in evaluate(log, known.target, config).estimates
            }
            gaps.append(values["dr"] - known.truth(known.target))
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(12)


def test_a_log_of_refusers_alone_is_evaluated_without_a_model():
    known = known_log(5)
    log = replace(known.log, consent=np.zeros(known.log.n, dtype=bool))
    intervals = {estimate.estimator: estimate.interval for estimate in evaluate(log, known.target, QUICK).estimates}
    assert intervals["dr"].value == pytest.approx(intervals["ips"].value)  # q is 0 everywhere


def test_the_constant_is_the_least_reward_unless_it_is_given():
    log = replace(known_log(1).log, reward_range=(-1.0, 3.0))
    assert log.constant_prediction == -1.0
    assert replace(log, prior=0.2).constant_prediction == 0.2
    assert replace(log, prior=0.2).with_reward(log.reward, (0.0, 9.0)).constant_prediction == 0.0
    some = replace(log, consent=np.arange(log.n) % 2 == 0, prior=0.2).rows(np.array([3, 0, 0, 1]))
    assert some.consent.tolist() == [False, True, True, False] and some.prior == 0.2


def test_the_network_of_interest_is_the_same_bytes(both):
    config = InterestConfig(network={"epochs": 1})
    first, second = (train_calibrated(built, "network", config) for _, _, built, _ in both)
    assert first.files() == second.files()
