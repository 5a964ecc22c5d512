"""Two models trained on disjoint shoppers."""

import weakref
from dataclasses import replace

import numpy as np
import pytest

from components.features.time_splits import TRAIN
from components.interest import disjoint_models, features_of_half, train_disjoint_models
from components.interest.predictions import logged_pairs
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop

FEATURES = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
CONFIG = InterestConfig(bootstrap=20)


@pytest.fixture(scope="module")
def tables():
    return shop(seed=3, impressions=2000, liking=1.0)


def test_halves_share_no_shopper_and_leave_no_impression_out(features):
    one, other = (features_of_half(features, which).impressions for which in (0, 1))
    assert not set(one["shopper_id"]) & set(other["shopper_id"])
    assert sorted([*one["impression_id"], *other["impression_id"]]) == sorted(features.impressions["impression_id"])
    assert min(len(one), len(other)) > 0.3 * len(features.impressions)


def test_both_learn_and_one_does_not_feel_the_others_clicks(features):
    """Clicks of half 1 turned round leave the model of half 0 as it was, to the bit."""
    rows = features.impressions
    turned = rows.assign(
        click=rows["click"].where(
            ~rows["shopper_id"].isin(features_of_half(features, 1).impressions["shopper_id"]), 1 - rows["click"]
        )
    )
    before, after = (
        train_disjoint_models(features, CONFIG),
        train_disjoint_models(replace(features, impressions=turned), CONFIG),
    )
    assert before[0].files() == after[0].files() and before[1].files() != after[1].files()
    pairs, click = logged_pairs(features, TRAIN)
    for model in before:
        guess = model.probabilities(pairs)
        assert guess[click == 1].mean() > guess[click == 0].mean()


def test_one_half_is_in_memory_at_a_time(features, monkeypatch):
    halves, alive = [], []

    def watched(given, which):
        alive.append([half() is not None for half in halves])
        half = features_of_half(given, which)
        halves.append(weakref.ref(half.impressions))
        return half

    monkeypatch.setattr(disjoint_models, "features_of_half", watched)
    monkeypatch.setattr(disjoint_models, "train_calibrated", lambda half, *_: len(half.impressions))
    assert sum(train_disjoint_models(features, CONFIG)) == len(features.impressions)
    assert alive == [[], [False]]


def test_a_half_without_clicks_leaves_no_models(features):
    rows = features.impressions
    in_half_1 = rows["shopper_id"].isin(features_of_half(features, 1).impressions["shopper_id"])
    silent = replace(
        features, impressions=rows.assign(click=np.where(in_half_1, 0, rows["click"]).astype(rows["click"].dtype))
    )
    assert train_disjoint_models(silent, CONFIG) == ()
