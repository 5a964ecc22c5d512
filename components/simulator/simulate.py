"""All tables of a simulated shop, day by day.

Each day has its own random generators, so day d does not depend on the length of the log, and the simulation can
continue after the log's end with another policy (`simulate_ads` with another AdPolicy).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from components.contract.time_window import mask_open_conversions
from components.settings.sections import SimulatorConfig
from components.simulator.ad_day import NO_EXPOSURES, AdDay, simulate_ads
from components.simulator.catalogue import START
from components.simulator.market import Market, open_market
from components.simulator.photos.product_photos import Goods, Photos
from components.simulator.scenario import Scenario
from components.simulator.shopper_events import daily_count, draw_events

_DAY_MS = 86_400_000
# of a simulated shop, in the order of its card
TABLE_NAMES = ("campaigns", "creatives", "impressions", "candidates", "products", "images", "events", "shoppers")


def simulate(config: SimulatorConfig, scenario: Scenario, sold: Photos | Goods) -> dict[str, pd.DataFrame]:
    """All tables of the contract, by name. Equal arguments give equal tables."""
    market = open_market(config, scenario, sold)
    impressions, candidates = simulate_log(market)
    tables = {
        **undated_tables(market),
        "impressions": mask_open_conversions(impressions, ends_at(config), scenario.conversion.window_days),
        "candidates": candidates,
        "events": simulate_events(market),
    }
    return {name: tables[name] for name in TABLE_NAMES}


def undated_tables(market: Market) -> dict[str, pd.DataFrame]:
    """The tables of the contract that have no days, by name."""
    catalogue = market.catalogue
    return {
        "campaigns": catalogue.campaigns,
        "creatives": catalogue.creatives,
        "products": catalogue.products,
        "images": market.images,
        "shoppers": catalogue.shoppers,
    }


def simulate_log(market: Market) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`impressions`, with open conversions not yet masked, and `candidates` of the configured days."""
    days = list(ad_days(market))
    return _stack([ads.impressions for ads in days]), _stack([ads.candidates for ads in days])


def ad_days(market: Market) -> Iterator[AdDay]:
    """The ads of each configured day that has any, in order; only the exposures of the fatigue window are held."""
    window = market.law.scenario.exposure.fatigue_window_days * _DAY_MS
    shown = NO_EXPOSURES
    for day in range(market.config.days):
        if not daily_count(market.config.impressions, market.config.days, day):
            continue
        ads = simulate_ads(market, day, shown, market.policy, market.policy.name)
        shown = shown.extended_by(ads.shown).since((day + 1) * _DAY_MS - window)
        yield ads


def simulate_events(market: Market) -> pd.DataFrame:
    """`events` of the configured days."""
    return _stack(list(event_days(market)))


def event_days(market: Market) -> Iterator[pd.DataFrame]:
    """`events` of each configured day that has any, in order."""
    config, products = market.config, market.catalogue.products
    for day in range(config.days):
        count = daily_count(config.events, config.days, day)
        if count:
            yield draw_events(
                market.law, market.shelves, market.product_traits, products, seed=config.seed, day=day, count=count
            )


def ends_at(config: SimulatorConfig) -> pd.Timestamp:
    """The end of the configured log: midnight after its last day."""
    return pd.Timestamp(START + np.timedelta64(config.days, "D")).tz_localize("UTC")


def _stack(days: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(days, ignore_index=True)
