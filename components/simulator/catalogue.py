"""The tables `campaigns`, `products`, `creatives` and `shoppers` of a simulated shop, drawn from a seed.

A shop with a real catalogue has its products from there.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from components.settings.sections import SimulatorConfig
from components.simulator import vocabulary as words
from components.simulator.assortments import DRAWN_PER_CAMPAIGN, FASHION
from components.simulator.photos.product_photos import Goods, Photos
from components.simulator.population import Shoppers, campaign_locale
from components.simulator.randomness import CATALOGUE, generator, standardised
from components.simulator.scenario import Scenario

START = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday
DAY = np.timedelta64(1, "D")
RUNS_FOR_DAYS = 365  # campaigns run longer than the log, so that the simulation can continue
CREATIVES_PER_PRODUCT = 3
CATEGORIES_PER_CAMPAIGN = 5
CURRENCY = "EUR"
_BANDS = np.array([-0.8416, -0.2533, 0.2533, 0.8416])  # price bands: the quintiles of z, the price in the click law


@dataclass(frozen=True)
class Catalogue:
    """The tables without times, in the contract's columns."""

    campaigns: pd.DataFrame
    products: pd.DataFrame
    creatives: pd.DataFrame
    shoppers: pd.DataFrame


def text_column(values) -> pd.Series:
    """A pandas `str` column of strings or None, made through Arrow, which is fast for millions."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(list(values), pa.large_string())
    return pd.Series(pd.array(array, dtype="str"))


def timestamps(offsets: np.ndarray) -> pd.Series:
    """UTC timestamps of `offsets`, microseconds since START, int64."""
    return pd.Series(START + offsets.astype("timedelta64[us]")).dt.tz_localize("UTC")


def draw_catalogue(config: SimulatorConfig, scenario: Scenario, sold: Photos | Goods, shoppers: Shoppers) -> Catalogue:
    """The catalogue. Of the law, creatives reflect only `feature_prior`, which `rescore` fills in."""
    rng = generator(config.seed, CATALOGUE)
    campaigns = _campaigns(config, scenario, rng)
    products = sold.products if isinstance(sold, Goods) else _products(config, sold, rng)
    return Catalogue(campaigns, products, _creatives(config, scenario, products, rng), _shoppers(shoppers))


def _campaigns(config: SimulatorConfig, scenario: Scenario, rng: np.random.Generator) -> pd.DataFrame:
    n = config.campaigns
    billing = np.arange(n) % 2
    bid = np.where(billing == 0, rng.uniform(2, 6, n), rng.uniform(0.15, 0.4, n))  # per 1000 impressions; per click
    return pd.DataFrame(
        {
            "campaign": text_column(f"c{row:02d}" for row in range(n)),
            "advertiser_id": text_column(f"adv{row // 2:02d}" for row in range(n)),
            "objective": text_column(("click", "conversion", "revenue")[row % 3] for row in range(n)),
            "starts_at": timestamps(np.zeros(n)),
            "ends_at": timestamps(np.full(n, RUNS_FOR_DAYS * (DAY // np.timedelta64(1, "us")))),
            "billing": text_column(("cpm", "cpc")[code] for code in billing),
            "locale": text_column(words.LOCALES[code] for code in _locales(config, scenario)),
            "budget": np.full(n, 50_000.0),
            "bid": bid.round(2),
            "frequency_cap": pd.array([pd.NA] * n, dtype="Int64"),
            "brand_color": text_column("#" + bytes(rng.integers(40, 216, 3).tolist()).hex() for _ in range(n)),
        }
    )


def _products(config: SimulatorConfig, photos: Photos, rng: np.random.Generator) -> pd.DataFrame:
    """120 products per campaign, in five categories and four brands of the campaign; the first ones are advertised."""
    n = config.campaigns * DRAWN_PER_CAMPAIGN
    category, brand = np.empty(n, np.int64), np.empty(n, np.int64)
    for campaign in range(config.campaigns):
        rows = slice(campaign * DRAWN_PER_CAMPAIGN, (campaign + 1) * DRAWN_PER_CAMPAIGN)
        categories = rng.permutation(len(FASHION.categories))[:CATEGORIES_PER_CAMPAIGN]
        brands = rng.permutation(len(FASHION.brands))[:4]
        # In turn and not at random, so that four products have four categories.
        category[rows] = np.resize(categories, DRAWN_PER_CAMPAIGN)
        brand[rows] = brands[rng.integers(0, 4, DRAWN_PER_CAMPAIGN)]
    price_z = rng.standard_normal(n)
    band = np.searchsorted(_BANDS, price_z)
    locale = np.repeat(campaign_locale(config.campaigns, len(FASHION.locales)), DRAWN_PER_CAMPAIGN)
    return pd.DataFrame(
        {
            "product_id": text_column(f"p{row:05d}" for row in range(n)),
            "category": text_column(FASHION.categories[code] for code in category),
            "title": text_column(map(_title, locale, category, brand, band)),
            "brand": text_column(FASHION.brands[code] for code in brand),
            "description": text_column(map(_description, locale, category, brand, band)),
            "price": np.exp(FASHION.log_price + FASHION.price_spread * price_z).round(2),
            "image_id": text_column(_photos_of(category, photos, rng)),
        }
    )


def _title(locale: int, category: int, brand: int, band: int) -> str:
    word, adjective = FASHION.category_words[locale][category][0], words.ADJECTIVES[locale][band]
    return f"{FASHION.brands[brand]} {adjective} {word}" if locale == 0 else f"{FASHION.brands[brand]}{adjective}{word}"


def _description(locale: int, category: int, brand: int, band: int) -> str:
    return words.DESCRIPTIONS[locale].format(
        adjective=words.ADJECTIVES[locale][band],
        word=FASHION.category_words[locale][category][0],
        brand=FASHION.brands[brand],
    )


def _photos_of(category: np.ndarray, photos: Photos, rng: np.random.Generator) -> list[str]:
    """The id of a train photo of each product's category; products share photos only if there are too few."""
    chosen: list[str] = [""] * len(category)
    for code in np.unique(category):
        pool = np.flatnonzero((photos.category == code) & (photos.split == 0))
        rows = np.flatnonzero(category == code)
        for row, photo in zip(rows, np.resize(rng.permutation(pool), len(rows)), strict=True):
            chosen[row] = photos.ids[photo]
    return chosen


def _creatives(
    config: SimulatorConfig, scenario: Scenario, products: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    per, n = config.creatives_per_campaign, config.campaigns * config.creatives_per_campaign
    campaign = np.repeat(np.arange(config.campaigns), per)
    stocked = scenario.sells.products_per_campaign(config.campaigns)
    advertised = min(stocked, -(-per // CREATIVES_PER_PRODUCT))
    product = campaign * stocked + np.tile(np.arange(per) % advertised, config.campaigns)
    locale = _locales(config, scenario)[campaign]
    style, wording = rng.integers(0, len(words.HEADLINE_STYLES), n), rng.integers(0, 3, n)
    call = rng.integers(0, len(words.CALLS_TO_ACTION[0]), n)
    shown = products.iloc[product]
    return pd.DataFrame(
        {
            "creative_id": text_column(f"cr{row:05d}" for row in range(n)),
            "campaign": text_column(f"c{code:02d}" for code in campaign),
            "origin": text_column(["people"] * n),
            "active_from": _active_from(rng, n, per, scenario),
            "active_until": timestamps(np.zeros(n)).where(np.zeros(n, bool)),
            "product_id": shown["product_id"].reset_index(drop=True),
            "image_id": shown["image_id"].reset_index(drop=True),
            "template": text_column(words.TEMPLATES[code] for code in rng.integers(0, len(words.TEMPLATES), n)),
            "headline": text_column(
                map(lambda at, code, which: scenario.sells.headlines[at][code][which], locale, style, wording)
            ),
            "call_to_action": text_column(map(lambda at, code: words.CALLS_TO_ACTION[at][code], locale, call)),
            "palette": text_column(words.PALETTES[code] for code in rng.integers(0, len(words.PALETTES), n)),
            "seed": pd.array([pd.NA] * n, dtype="Int64"),
            "conditions": text_column([None] * n),
            "feature_prior": rng.standard_normal(n),
        }
    )


def _locales(config: SimulatorConfig, scenario: Scenario) -> np.ndarray:
    """The locale code of each campaign, int64 [campaigns]."""
    return campaign_locale(config.campaigns, len(scenario.sells.locales))


def _active_from(rng: np.random.Generator, n: int, per: int, scenario: Scenario) -> pd.Series:
    """`active_from`: midnight of `from_day` for the scenario's share of each campaign's creatives, null for others."""
    order = np.argsort(rng.random((n // per, per)), axis=1).argsort(axis=1).ravel()
    late = order < int(scenario.cold_start.creatives * per)
    return timestamps(np.full(n, scenario.cold_start.from_day * 86_400_000_000)).where(late)


def rescore(creatives: pd.DataFrame, quality: np.ndarray, accuracy: float) -> pd.DataFrame:
    """Creatives with the shop's score `feature_prior`, whose correlation with `quality` [n] is `accuracy`."""
    noise = standardised(creatives["feature_prior"].to_numpy())
    prior = accuracy * standardised(quality) + np.sqrt(1 - accuracy**2) * noise
    return creatives.assign(feature_prior=prior.round(4))


def _shoppers(shoppers: Shoppers) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "shopper_id": text_column(shoppers.ids),
            "consent": shoppers.consent,
            "feature_age_band": text_column(words.AGE_BANDS[code] for code in shoppers.age_band),
            "feature_locale": text_column(words.LOCALES[code] for code in shoppers.locale),
            "feature_member": shoppers.member,
        }
    )
