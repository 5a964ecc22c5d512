"""Reasons in words: their effects add up to the score, removing them lowers it, and they name what the ads have."""

from dataclasses import replace

import numpy as np
import pytest

from components.features import build_features, fit_features
from components.features.time_splits import SELECT
from components.interest.calibrated_model import CalibratedModel
from components.interest.calibration import Platt
from components.interest.model_protocol import Pairs
from components.interest.models.fact_effects import EVERYONE, PAST, TASTE, Fact, FactEffects
from components.interest.models.logistic import Logistic
from components.interest.models.pair_design import ONE
from components.interest.predictions import pairs_at
from components.interest.reasons import (
    CHINESE,
    ENGLISH,
    LEAST_EFFECT,
    NOUNS,
    SEGMENT,
    SENTENCES,
    SHOPPER,
    Reason,
    RequestReasons,
    decision_reasons,
)
from components.interest.request_scorer import RequestRow
from components.interest.training import train_calibrated
from components.policies.eligible import eligible_pairs
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

FEATURES = FeaturesConfig(
    segments=3, text_dimensions=4, image_dimensions=3, select_share=0.39, pairs=("repeats", "category_views_6h")
)


@pytest.fixture(scope="module")
def features():
    tables = shop(seed=5, impressions=6000, liking=1.5)
    return tables, build_features(fit_features(tables, FEATURES), tables, FEATURES)


@pytest.fixture(scope="module")
def trained(features) -> CalibratedModel:
    return replace(train_calibrated(features[1], "logistic", InterestConfig(bootstrap=20)), platt=Platt(0.8, 0.1, -2.0))


@pytest.fixture(scope="module")
def pairs(features) -> Pairs:
    """Every creative of the campaign for some impressions."""
    tables, built = features
    eligible = eligible_pairs(tables, built.of(SELECT).head(150))
    row = built.impressions.set_index("impression_id").index.get_indexer(eligible["impression_id"])
    return pairs_at(built, row, built.creatives.set_index("creative_id").index.get_indexer(eligible["creative_id"]))


def against_mean(logits: np.ndarray, decision: np.ndarray) -> np.ndarray:
    return logits - (np.bincount(decision, logits) / np.bincount(decision))[decision]


@pytest.fixture(scope="module")
def best(trained, pairs) -> np.ndarray:
    """The pair with the highest score of each decision."""
    logits = trained.model.logits(pairs)
    return np.array([places[logits[places].argmax()] for places in map(np.flatnonzero, np.eye(150)[:, pairs.row])])


def test_the_effects_of_all_facts_add_up_to_the_score_against_the_mean(trained, pairs, best):
    found = trained.fact_effects(pairs, pairs.row, pairs.column[best])
    assert len(set(found.facts)) == len(found.facts)
    due = 0.8 * against_mean(trained.model.logits(pairs), pairs.row)[best]
    np.testing.assert_allclose(found.effects.sum(axis=1), due, atol=1e-6)


def test_a_cell_of_several_impressions_has_their_mean_effects(trained, pairs):
    campaign = np.unique(pairs.impressions["campaign"].to_numpy()[pairs.row], return_inverse=True)[1]
    shown = np.array([pairs.column[campaign == one][0] for one in range(campaign.max() + 1)])
    found = trained.fact_effects(pairs, campaign, shown)
    logits = 0.8 * against_mean(trained.model.logits(pairs), campaign)
    due = [logits[(campaign == one) & (pairs.column == shown[one])].mean() for one in range(len(shown))]
    np.testing.assert_allclose(found.effects.sum(axis=1), due, atol=1e-6)


def weights_without(model: Logistic, facts: set[Fact]) -> np.ndarray:
    """The model's weights, with those of some facts at 0."""
    pair_map, weights, start = model.scales.pairs, model.weights, 0
    for term in pair_map.terms:
        count = pair_map._columns(term)
        if term.right != ONE and Fact.of(term) in facts:
            weights[start : start + count] = 0.0
        start += count
    for place, name in enumerate(pair_map.pairs):
        if Fact(PAST, name.partition(":")[0]) in facts:
            weights[start + place] = 0.0
    return weights


def test_without_the_facts_that_speak_for_it_an_ad_loses_more_than_without_as_many_others(trained, pairs, best):
    reasons = decision_reasons(trained, pairs, pairs.row, pairs.column[best])
    facts = trained.fact_effects(pairs, pairs.row, pairs.column[best]).facts
    pair_map = trained.model.scales.pairs
    impressions, creatives = pairs.impressions.iloc[pairs.row], pairs.creatives.iloc[pairs.column]
    columns = pair_map.design(impressions, creatives, pairs.values_of(pair_map.pairs))
    random, before = np.random.default_rng(0), against_mean(trained.model.logits(pairs), pairs.row)[best]
    named, others = [], []
    for decision in range(0, 150, 10):
        speak = {reason.fact for reason in reasons[decision] if reason.effect > 0}
        chosen = {facts[place] for place in random.choice(len(facts), len(speak), replace=False)}
        for removed, losses in ((speak, named), (chosen, others)):
            after = against_mean(columns @ weights_without(trained.model, removed), pairs.row)[best[decision]]
            losses.append(before[decision] - after)
    assert min(named) > 0 and np.mean(named) > 2 * np.mean(others)


def test_the_taste_that_the_law_of_the_shop_has_is_the_first_reason(trained, pairs, best):
    reasons = decision_reasons(trained, pairs, pairs.row, pairs.column[best], most=2)
    assert all(1 <= len(one) <= 2 and abs(one[0].effect) >= abs(one[-1].effect) >= LEAST_EFFECT for one in reasons)
    tastes = [one[0] for one in reasons if one[0].fact == Fact(TASTE, "category") and one[0].effect > 0]
    assert len(tastes) > 0.5 * len(reasons)
    shown = pairs.creatives.filter(like="creative_category:")
    for one, place in zip(reasons, pairs.column[best], strict=True):
        for reason in one:
            if reason.fact.element == "category":
                assert shown.iloc[place][f"creative_category:{reason.value}"] == 1


def test_a_request_has_the_reasons_of_its_decision(features, trained, pairs, best):
    """One request by arrays, with pair features in another order and one that the model does not have."""
    columns = tuple(dict.fromkeys(name for block in trained.model.scales.pairs.left.numbers for name in block.columns))
    names, creatives = (*pairs.names[::-1], "of others"), features[1].versions.table
    reasons = RequestReasons(trained.facts_for_requests(creatives, columns, names), creatives)
    due = decision_reasons(trained, pairs, pairs.row, pairs.column[best])
    for decision in range(0, 150, 7):
        places = np.flatnonzero(pairs.row == pairs.row[best[decision]])
        row = pairs.impressions.iloc[pairs.row[best[decision]]]
        values = np.column_stack([pairs.values[places, ::-1], np.ones(len(places), np.float32)])
        request = RequestRow(row[list(columns)].to_numpy(dtype=np.float32), int(row["segment"]))
        found = reasons.of(request, pairs.column[places], values, int(np.flatnonzero(places == best[decision])[0]))
        assert [(one.fact, one.value) for one in found] == [(one.fact, one.value) for one in due[decision]]
        np.testing.assert_allclose([one.effect for one in found], [one.effect for one in due[decision]], rtol=1e-4)
    with pytest.raises(UserError, match="lack column"):
        trained.facts_for_requests(creatives, columns, names[1:])
    assert replace(trained, model=object()).facts_for_requests(creatives, columns, names) is None


def test_every_sentence_is_whole_in_both_languages():
    for about in SENTENCES:
        for element in (*NOUNS, "another"):
            for effect in (0.2, -0.2):
                for who in (SHOPPER, SEGMENT):
                    reason = Reason(Fact(about, element), effect, "x{y}" if element == "template" else "", who)
                    for language in (ENGLISH, CHINESE):
                        text = reason.text(language)
                        assert text and "{noun}" not in text and "{value}" not in text and text == text.strip()
    reason = Reason(Fact(TASTE, "category"), 0.3, "boots", SHOPPER)
    assert reason.text(ENGLISH) == "the category boots suits the tastes of this shopper better than in the other ads"
    assert reason.text(CHINESE) == "类别“boots”比其他广告更符合该顾客的喜好"
    worse = Reason(Fact(EVERYONE, "template"), -0.3, "badge", SEGMENT)
    assert worse.text(ENGLISH) == "the template badge is clicked less than in the other ads"


def test_a_model_that_cannot_say_why_gives_no_reasons(trained, pairs, best):
    class Opaque:
        name = "opaque"

    assert decision_reasons(replace(trained, model=Opaque()), pairs, pairs.row, pairs.column[best]) is None


def test_an_ad_that_does_not_compete_is_refused(trained, pairs, best):
    shown = pairs.column[best].copy()
    eligible = set(pairs.column[pairs.row == 0])
    shown[0] = next(place for place in range(len(pairs.creatives)) if place not in eligible)
    with pytest.raises(ValueError, match="does not have the creative that is said to be shown"):
        trained.fact_effects(pairs, pairs.row, shown)


def test_small_effects_are_no_reasons(trained, pairs, best, monkeypatch):
    facts = tuple(Fact(EVERYONE, element) for element in ("template", "palette", "look"))
    found = FactEffects(facts, np.tile([0.001, -0.5, 0.02], (150, 1)))
    monkeypatch.setattr(CalibratedModel, "fact_effects", lambda *given: found)
    reasons = decision_reasons(trained, pairs, pairs.row, pairs.column[best])
    assert [[reason.fact.element for reason in one] for one in reasons] == [["palette", "look"]] * 150
