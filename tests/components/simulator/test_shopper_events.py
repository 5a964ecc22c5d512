import numpy as np
import pytest

from components.settings.sections import SimulatorConfig
from components.simulator import load_scenario
from components.simulator.market import open_market
from components.simulator.simulate import simulate_events
from tests.components.simulator.conftest import rows_of


@pytest.fixture(scope="module")
def shop(photos):
    config = SimulatorConfig(seed=7, shoppers=500, campaigns=4, events=20_000, impressions=1, days=2)
    market = open_market(config, load_scenario("baseline"), photos)
    return market, simulate_events(market)


def test_events_reveal_the_tastes_that_move_clicks(shop):
    market, events = shop
    seen = events[events["product_id"].notna()]
    shopper = rows_of(seen["shopper_id"], market.law.shoppers.ids)
    product = rows_of(seen["product_id"], market.catalogue.products["product_id"])
    likes, things = market.law.preferences[0], market.product_traits
    for taste in (likes.category[shopper, things.category[product]], likes.brand[shopper, things.brand[product]]):
        assert taste.mean() > 10 / np.sqrt(len(taste))  # unit variance, mean 0 without taste: ten standard errors
    assert np.corrcoef(likes.price[shopper], things.price[product])[0, 1] > 0.2
    looks = (likes.look[shopper] * things.look[product]).sum(axis=1)
    everywhere = (likes.look[shopper] * np.roll(things.look[product], 1, axis=0)).sum(axis=1)
    assert looks.mean() > everywhere.mean() + 0.3


def test_queries_are_in_the_shoppers_language(shop):
    market, events = shop
    searches = events.query("kind == 'search'")
    chinese = searches["text"].str.contains(r"[\u4e00-\u9fff]").to_numpy(bool)
    spoken = market.law.shoppers.locale[rows_of(searches["shopper_id"], market.law.shoppers.ids)]
    np.testing.assert_array_equal(chinese, spoken == 1)
    assert 0.1 < chinese.mean() < 0.9


def test_shoppers_meet_products_of_their_own_language(shop):
    market, events = shop
    seen = events[events["product_id"].notna()]
    shopper = rows_of(seen["shopper_id"], market.law.shoppers.ids)
    product = rows_of(seen["product_id"], market.catalogue.products["product_id"])
    campaign_locale = (market.catalogue.campaigns["locale"] == "zh-CN").to_numpy(int)
    np.testing.assert_array_equal(market.law.shoppers.locale[shopper], campaign_locale[product // 120])


def test_events_hold_what_their_kind_has(shop):
    _, events = shop
    assert events["event_id"].is_unique
    assert len(events) == 20_000
    views, money = events["kind"] == "view", events["kind"].isin(["cart", "purchase"])
    assert events.loc[views, "dwell_seconds"].gt(0).all()
    assert events.loc[~views, "dwell_seconds"].isna().all()
    assert events.loc[money, "value"].gt(0).all()
    assert events.loc[~money, "value"].isna().all()
    assert events["timestamp"].dt.normalize().nunique() == 2
