"""The audience on which new creatives are scored."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.features import creative_features, looks_of
from components.interest import train_interest
from components.interest.segment_scores import draw_audience, segment_scores
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

FEATURES = FeaturesConfig(segments=2, text_dimensions=4, image_dimensions=3)


@pytest.fixture(scope="module")
def tables():
    return shop()


def test_an_audience_is_of_its_segment_and_of_the_time_before_evaluation(features):
    audience = draw_audience(features, 2, 20, seed=0)
    assert audience["audience"].tolist() == [0] * 20 + [1] * 20 and (audience["segment"] == audience["audience"]).all()
    before = features.impressions[features.impressions["split"] != "judge"]
    columns = [name for name in audience if name != "audience"]
    assert pd.MultiIndex.from_frame(audience[columns]).isin(pd.MultiIndex.from_frame(before[columns])).all()
    assert draw_audience(features, 2, 20, seed=0).equals(audience)
    assert not draw_audience(features, 2, 20, seed=1).equals(audience)


def test_an_audience_names_nobody_and_tells_no_outcome(features):
    left_out = {"impression_id", "shopper_id", "creative_id", "timestamp", "click", "split", "consent"}
    assert left_out < set(features.impressions)
    assert not left_out & set(draw_audience(features, 2, 20, seed=0))


def test_an_audience_holds_no_row_of_a_shopper_who_refused_consent(features):
    rows = features.impressions.assign(context_of_refusal=lambda rows: (~rows["consent"]).astype("float32"))
    alone = rows.assign(consent=rows["consent"] & (rows["segment"] == 1))  # nobody of segment 0 consents
    for impressions in (rows, alone):
        assert not impressions["consent"].all()
        audience = draw_audience(replace(features, impressions=impressions), 2, 10_000, seed=0)
        assert set(audience["audience"]) == {0, 1} and (audience["context_of_refusal"] == 0).all()
    assert set(audience.loc[audience["audience"] == 0, "segment"]) == {1}


def test_all_shoppers_stand_for_a_segment_that_nobody_is_in(features):
    audience = draw_audience(features, 3, 200, seed=0)
    assert set(audience.loc[audience["audience"] == 2, "segment"]) == {0, 1}


def test_a_score_is_the_mean_over_the_segments_rows(tables, model, features):
    interest = train_interest(features, InterestConfig(models=("logistic",), bootstrap=20)).champion
    rows = creative_features(model, tables["creatives"], tables["products"], looks_of(model.traits.look, tables))
    audience = draw_audience(features, 2, 20, seed=0)
    scores = segment_scores(interest, audience, rows)
    assert scores.shape == (len(rows), 2)
    one = interest.predict(audience[audience["audience"] == 1], rows.iloc[[3]])
    np.testing.assert_allclose(scores[3, 1], one.mean(), rtol=1e-6)
