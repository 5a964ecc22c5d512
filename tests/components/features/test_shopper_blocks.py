"""Features of blocks of shoppers against those of all shoppers together."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from components.features import build_features, feature_tables, fit_features
from components.features.shoppers.shopper_blocks import shopper_blocks
from components.settings.sections import FeaturesConfig
from tests.components.features.shop import shop

CONFIG = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
SIZE = 300  # of 2,500 events


@pytest.fixture(scope="module")
def tables():
    """A shop with impressions of shoppers without an event."""
    made = shop(seed=7)
    newcomers = np.arange(len(made["impressions"])) % 11 == 0
    names = pd.Series([f"newcomer{row % 5}" for row in range(len(newcomers))], dtype="str")
    shopper_id = made["impressions"]["shopper_id"].mask(newcomers, names)
    return {**made, "impressions": made["impressions"].assign(shopper_id=shopper_id)}


def test_a_shopper_is_in_one_block_with_all_rows_in_their_order(tables):
    events, shopper_id = tables["events"], tables["impressions"]["shopper_id"]
    blocks = list(shopper_blocks(events, shopper_id, SIZE))
    assert len(blocks) == 9
    seen = [set(block.events["shopper_id"]) | set(shopper_id.iloc[block.rows].dropna()) for block in blocks]
    assert len(set.union(*seen)) == sum(len(names) for names in seen)
    assert sorted(np.concatenate([block.rows for block in blocks])) == list(range(len(shopper_id)))
    for block, names in zip(blocks, seen, strict=True):
        of_block = events[events["shopper_id"].isin(names)].reset_index(drop=True)
        pd.testing.assert_frame_equal(block.events, of_block)
        assert (np.diff(block.rows) > 0).all()
        assert len(block.events) < 2 * SIZE


@pytest.mark.parametrize("events", [None, "few"])
def test_without_many_events_there_is_one_block(tables, events):
    given = None if events is None else tables["events"].head(SIZE)
    (block,) = shopper_blocks(given, tables["impressions"]["shopper_id"], SIZE)
    assert block.events is given
    assert block.rows.tolist() == list(range(len(tables["impressions"])))


def test_features_of_blocks_are_those_of_all_shoppers_with_one_block_in_memory(tables, monkeypatch):
    model = fit_features(tables, CONFIG)
    whole, sizes, attribute_events = build_features(model, tables, CONFIG), [], feature_tables.attribute_events

    def counted(events, *others):
        sizes.append(len(events))
        return attribute_events(events, *others)

    monkeypatch.setattr(feature_tables, "attribute_events", counted)
    monkeypatch.setattr(feature_tables, "shopper_blocks", partial(shopper_blocks, size=SIZE))
    blocked = build_features(model, tables, CONFIG)
    assert len(sizes) > 5 and max(sizes) < 2 * SIZE
    pd.testing.assert_frame_equal(blocked.impressions, whole.impressions, rtol=1e-6, atol=1e-6)
    pd.testing.assert_frame_equal(blocked.shopper_profiles, whole.shopper_profiles)
    assert whole.impressions["shopper_touches:kind"].any() and len(whole.shopper_profiles) > 50
