"""All tables of a simulated shop, day by day.

Each day has its own random generators, so day d does not depend on the length of the log, and the simulation can
continue after the log's end with another policy (`simulate_ads` with another AdPolicy).
"""

import numpy as np
import pandas as pd

from components.contract.time_window import mask_open_conversions
from components.settings.sections import SimulatorConfig
from components.simulator.ad_day import NO_EXPOSURES, simulate_ads
from components.simulator.catalogue import START
from components.simulator.market import Market, open_market
from components.simulator.photos.product_photos import Goods, Photos
from components.simulator.scenario import Scenario
from components.simulator.shopper_events import daily_count, draw_events

_DAY_MS = 86_400_000


def simulate(config: SimulatorConfig, scenario: Scenario, sold: Photos | Goods) -> dict[str, pd.DataFrame]:
    """All tables of the contract, by name. Equal arguments give equal tables."""
    market = open_market(config, scenario, sold)
    catalogue = market.catalogue
    impressions, candidates = simulate_log(market)
    return {
        "campaigns": catalogue.campaigns,
        "creatives": catalogue.creatives,
        "impressions": mask_open_conversions(impressions, ends_at(config), scenario.conversion.window_days),
        "candidates": candidates,
        "products": catalogue.products,
        "images": market.images,
        "events": simulate_events(market),
        "shoppers": catalogue.shoppers,
    }


def simulate_log(market: Market) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`impressions`, with open conversions not yet masked, and `candidates` of the configured days."""
    window = market.law.scenario.exposure.fatigue_window_days * _DAY_MS
    shown, days = NO_EXPOSURES, []
    for day in range(market.config.days):
        if not daily_count(market.config.impressions, market.config.days, day):
            continue
        ads = simulate_ads(market, day, shown, market.policy, market.policy.name)
        shown = shown.extended_by(ads.shown).since((day + 1) * _DAY_MS - window)
        days.append(ads)
    return _stack([ads.impressions for ads in days]), _stack([ads.candidates for ads in days])


def simulate_events(market: Market) -> pd.DataFrame:
    """`events` of the configured days."""
    config = market.config
    counts = [daily_count(config.events, config.days, day) for day in range(config.days)]
    products = market.catalogue.products
    return _stack(
        [
            draw_events(
                market.law, market.shelves, market.product_traits, products, seed=config.seed, day=day, count=count
            )
            for day, count in enumerate(counts)
            if count
        ]
    )


def ends_at(config: SimulatorConfig) -> pd.Timestamp:
    """The end of the configured log: midnight after its last day."""
    return pd.Timestamp(START + np.timedelta64(config.days, "D")).tz_localize("UTC")


def _stack(days: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(days, ignore_index=True)
