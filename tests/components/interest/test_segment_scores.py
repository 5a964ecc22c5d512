"""Whom new creatives are scored on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.features import creative_features
from components.interest import train_interest
from components.interest.segment_scores import draw_audience, segment_scores
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

FEATURES = FeaturesConfig(segments=2, text_dimensions=4, look_dimensions=3)


@pytest.fixture(scope="module")
def tables():
    return shop()


def test_an_audience_is_of_its_segment_and_of_the_time_before_evaluation(features):
    drawn = draw_audience(features, 2, 20, seed=0)
    assert drawn["audience"].tolist() == [0] * 20 + [1] * 20 and (drawn["segment"] == drawn["audience"]).all()
    before = features.impressions[features.impressions["split"] != "judge"]
    columns = [name for name in drawn if name != "audience"]
    assert pd.MultiIndex.from_frame(drawn[columns]).isin(pd.MultiIndex.from_frame(before[columns])).all()
    assert draw_audience(features, 2, 20, seed=0).equals(drawn)
    assert not draw_audience(features, 2, 20, seed=1).equals(drawn)


def test_an_audience_names_nobody_and_tells_no_outcome(features):
    known = {"impression_id", "shopper_id", "creative_id", "timestamp", "click", "propensity", "split", "consent"}
    assert known < set(features.impressions)
    assert not known & set(draw_audience(features, 2, 20, seed=0))


def test_an_audience_holds_no_row_of_a_shopper_who_refused_consent(features):
    rows = features.impressions.assign(context_of_refusal=lambda rows: (~rows["consent"]).astype("float32"))
    alone = rows.assign(consent=rows["consent"] & (rows["segment"] == 1))  # nobody of segment 0 consents
    for known in (rows, alone):
        assert not known["consent"].all()
        drawn = draw_audience(replace(features, impressions=known), 2, 10_000, seed=0)
        assert set(drawn["audience"]) == {0, 1} and (drawn["context_of_refusal"] == 0).all()
    assert set(drawn.loc[drawn["audience"] == 0, "segment"]) == {1}


def test_all_shoppers_stand_for_a_segment_that_nobody_is_in(features):
    drawn = draw_audience(features, 3, 200, seed=0)
    assert set(drawn.loc[drawn["audience"] == 2, "segment"]) == {0, 1}


def test_a_score_is_the_mean_over_the_segments_rows(tables, model, features):
    interest = train_interest(features, InterestConfig(models=("logistic",), bootstrap=20)).champion
    rows = creative_features(model, tables["creatives"], tables["products"], tables["images"])
    audience = draw_audience(features, 2, 20, seed=0)
    scores = segment_scores(interest, audience, rows)
    assert scores.shape == (len(rows), 2)
    one = interest.predict(audience[audience["audience"] == 1], rows.iloc[[3]])
    np.testing.assert_allclose(scores[3, 1], one.mean(), rtol=1e-6)
