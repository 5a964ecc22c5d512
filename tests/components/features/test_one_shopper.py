"""One shopper's features from the shopper's own rows are those of the table: replayed in order of time, row by row."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from components.features import build_features, fit_features
from components.features.feature_model import known_events
from components.features.shoppers.one_shopper import OneShopper, ShopperRows
from components.features.timeline import microseconds
from components.settings.sections import FeaturesConfig
from tests.components.features.shop import shop

PAIRS = ("repeats", "category_views_6h")
CONFIGS = {
    "everything": FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3, pairs=PAIRS),
    "other windows": FeaturesConfig(segments=2, text_dimensions=4, image_dimensions=3, window_days=(2, 5), pairs=()),
    "no history": FeaturesConfig(image_dimensions=3, text_dimensions=4, shopper_history=False),
}


def tables(late: bool = False) -> dict[str, pd.DataFrame]:
    made = shop(seed=11, shoppers=40, events=3000, impressions=1200)
    if late:
        delay = pd.to_timedelta(np.random.default_rng(3).integers(0, 3000, 3000), unit="min")
        made["events"]["ingested_at"] = made["events"]["timestamp"] + delay
    return made


def replayed(model, data, built) -> tuple[np.ndarray, np.ndarray]:
    """The features [n, k] and pair values [n, r] of each impression, from what was there before it."""
    one = OneShopper(model, built.creatives, data["products"], built.looks)
    events, shown = defaultdict(list), defaultdict(list)
    known = known_events(data)
    optional = zip(
        microseconds(known["timestamp"]), known["shopper_id"], known["kind"], known["product_id"], known["text"],
        known["value"], strict=True,
    )  # fmt: skip
    for moment, shopper, kind, product, text, value in optional:
        product, text, value = (None if pd.isna(item) else item for item in (product, text, value))
        events[shopper].append((int(moment), kind, product, text, value))
    impressions = built.impressions
    order = np.argsort(microseconds(impressions["timestamp"]), kind="stable")
    moments, creative_rows = microseconds(impressions["timestamp"]), np.arange(len(built.creatives))
    numbers = np.zeros((len(impressions), len(model.behaviour.columns)), dtype=np.float32)
    pairs = np.zeros((len(impressions), len(built.creatives), built.pairs_of(np.array([0]), np.array([0])).shape[1]))
    for row in order:
        shopper, campaign, creative, click, consent = (
            impressions[name].iloc[row] for name in ("shopper_id", "campaign", "creative_id", "click", "consent")
        )
        earlier = tuple(sorted((event for event in events[shopper]), key=lambda event: event[0]))
        rows = ShopperRows(earlier, tuple(shown[shopper])) if consent else ShopperRows()
        numbers[row] = one.past(rows, campaign, int(moments[row]))
        pairs[row] = one.pair_values(rows, int(moments[row]), creative_rows)
        shown[shopper].append((int(moments[row]), campaign, creative, int(click)))
    return numbers, pairs


@pytest.mark.parametrize("late", [False, True], ids=["on time", "late"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_replayed_impressions_have_the_features_of_the_table(config, late):
    data = tables(late)
    model = fit_features(data, config)
    built = build_features(model, data, config)
    numbers, pairs = replayed(model, data, built)
    columns = list(model.behaviour.columns)
    due = built.impressions[columns].to_numpy(dtype=np.float32)
    counters = [number for number, name in enumerate(columns) if any(
        part in name for part in ("_count:", "_shown", "_clicked", "_touches:", "_value:")
    )]  # fmt: skip
    np.testing.assert_array_equal(numbers[:, counters], due[:, counters])
    # estimates are rounded to 6 decimals; a last bit may round one the other way
    np.testing.assert_allclose(numbers, due, rtol=1e-6, atol=1.1e-6)
    assert config.shopper_history == bool(len(counters)) and (not counters or due[:, counters].any())
    every = np.arange(len(built.creatives))
    for row in range(0, len(due), 7):
        np.testing.assert_array_equal(pairs[row], built.pairs_of(np.full(len(every), row), every))


def test_a_shopper_without_rows_is_a_new_one():
    data = tables()
    model = fit_features(data, CONFIGS["everything"])
    first = data["impressions"].head(1).assign(shopper_id="nobody", impression_id="new")
    built = build_features(model, {**data, "impressions": first}, CONFIGS["everything"])
    one = OneShopper(model, built.creatives, data["products"], built.looks)
    moment = int(microseconds(first["timestamp"])[0])
    due = built.impressions[list(model.behaviour.columns)].to_numpy(dtype=np.float32)[0]
    np.testing.assert_array_equal(one.past(ShopperRows(), first["campaign"].iloc[0], moment), due)
    assert not one.pair_values(ShopperRows(), moment, np.arange(5)).any()


def test_products_texts_and_campaigns_that_nobody_knows_count_as_none():
    data = tables()
    model = fit_features(data, CONFIGS["everything"])
    built = build_features(model, data, CONFIGS["everything"])
    one = OneShopper(model, built.creatives, data["products"], built.looks)
    rows = ShopperRows(((5, "view", "a new product", None, None), (6, "stare", None, "zzz", None)), ((7, "x", "y", 1),))
    past = dict(zip(model.behaviour.columns, one.past(rows, "spring", 10), strict=True))
    assert past["shopper_count:view_1d"] == 1 and past["shopper_touches:category"] == 0
    assert past["shopper_shown:ever"] == 1 and past["shopper_campaign_shown:ever"] == 0
