"""The latent shoppers and their preferences, drawn from seed and scenario; no data set contains them.

A shopper belongs to one of six segments, which shift tastes, age and the mix of events and so can be inferred from
behaviour. Age band and membership are logged (`shoppers.feature_*`).
"""

from dataclasses import dataclass

import numpy as np

from components.settings.sections import SimulatorConfig
from components.simulator import vocabulary as words
from components.simulator.photos.image_look import ATOMS
from components.simulator.randomness import PREFERENCES, SHOPPERS, generator, standardised
from components.simulator.scenario import Scenario

SEGMENTS = 6
HOUR_BINS = 4  # night, morning, afternoon, evening: six hours each
# Probability of each age band in each segment; rows sum to 1.
_AGE_OF_SEGMENT = np.array(
    [
        [0.60, 0.25, 0.08, 0.05, 0.02],
        [0.15, 0.55, 0.20, 0.07, 0.03],
        [0.05, 0.20, 0.50, 0.18, 0.07],
        [0.03, 0.10, 0.22, 0.50, 0.15],
        [0.02, 0.05, 0.13, 0.25, 0.55],
        [0.30, 0.30, 0.20, 0.12, 0.08],
    ]
)
_SEGMENT_SHARE = np.array([0.2, 0.2, 0.18, 0.15, 0.12, 0.15])


@dataclass(frozen=True)
class Shoppers:
    """The shoppers, in the order of `ids`: int64 codes and float64 values, [n] unless a shape is given.

    readiness: click effect common to all creatives (unit variance over people); campaign_share [n, C]: share of a
    shopper's impressions by campaign; first_day: 0, or the day on which the shopper joins.
    """

    ids: tuple[str, ...]
    locale: np.ndarray
    segment: np.ndarray
    age_band: np.ndarray
    member: np.ndarray
    mobile_share: np.ndarray
    readiness: np.ndarray
    traffic: np.ndarray
    bot: np.ndarray
    consent: np.ndarray
    first_day: np.ndarray
    campaign_share: np.ndarray


@dataclass(frozen=True)
class Preferences:
    """The effects on clicks, each of unit variance. Tables end with a zero row and column for unknown values, code -1.

    Tastes by shopper: `category` [n, categories + 1], `brand` [n, brands + 1], `price` [n], `look` [n, 4].
    Qualities for all shoppers: `template` [6], `headline` [7], `call` [5], `palette` [6], `product` [p + 1],
    `look_quality` [4]. Interactions: `segment_template` [7, 6], `segment_headline` [7, 7], `palette_hour` [6, 5].
    """

    category: np.ndarray
    brand: np.ndarray
    price: np.ndarray
    look: np.ndarray
    template: np.ndarray
    headline: np.ndarray
    call: np.ndarray
    palette: np.ndarray
    look_quality: np.ndarray
    product: np.ndarray
    segment_template: np.ndarray
    segment_headline: np.ndarray
    palette_hour: np.ndarray


def campaign_locale(campaigns: int, locales: int) -> np.ndarray:
    """Locale codes int64 [campaigns]: of two `locales`, three of eight are the second; the first pair has both."""
    return (np.arange(campaigns) % 8 % 3 == 1).astype(np.int64) * (locales > 1)


def draw_shoppers(config: SimulatorConfig, scenario: Scenario) -> Shoppers:
    """All shoppers of the marketplace, including those who join later."""
    rng = generator(config.seed, SHOPPERS)
    n = config.shoppers
    segment = rng.choice(SEGMENTS, size=n, p=_SEGMENT_SHARE)
    age_band = (rng.random(n)[:, None] > _AGE_OF_SEGMENT[segment].cumsum(axis=1)[:, :-1]).sum(axis=1)
    member = (rng.random(n) < 0.3 + 0.1 * (age_band >= 2)).astype(np.int64)
    bot = rng.random(n) < scenario.bots.share
    locales = campaign_locale(config.campaigns, len(scenario.sells.locales))
    locale = (rng.random(n) < locales.mean()).astype(np.int64)
    return Shoppers(
        ids=tuple(f"s{row:06d}" for row in range(n)),
        locale=locale,
        segment=segment,
        age_band=age_band,
        member=member,
        mobile_share=rng.beta(4 - 0.5 * age_band, 1 + 0.4 * age_band),
        readiness=_readiness(rng, age_band, member, scenario.logging.confounding),
        traffic=np.exp(0.8 * rng.standard_normal(n)) * np.where(bot, scenario.bots.traffic, 1.0),
        bot=bot,
        consent=rng.random(n) >= scenario.consent_refused,
        first_day=np.where(rng.random(n) < scenario.cold_start.shoppers, scenario.cold_start.from_day, 0),
        campaign_share=_targeting(rng, locale, locales),
    )


def _readiness(rng: np.random.Generator, age_band: np.ndarray, member: np.ndarray, explained: float) -> np.ndarray:
    logged = standardised(-1.0 * age_band + 0.5 * member)  # younger shoppers and members click more
    return np.sqrt(explained) * logged + np.sqrt(1 - explained) * rng.standard_normal(len(age_band))


def _targeting(rng: np.random.Generator, locale: np.ndarray, locales: np.ndarray) -> np.ndarray:
    """Shares float64 [n, C] of the campaigns in the shopper's language; rows sum to 1 and are concentrated on few."""
    weight = rng.gamma(0.5, size=(len(locale), len(locales))) + 1e-6
    weight *= locale[:, None] == locales[None, :]
    return weight / weight.sum(axis=1, keepdims=True)


def draw_preferences(config: SimulatorConfig, scenario: Scenario, shoppers: Shoppers, epoch: int) -> Preferences:
    """Tastes of all shoppers and qualities of all creatives' elements in `epoch` 0 or 1; drift turns 0 into 1."""
    rng = generator(config.seed, PREFERENCES, epoch)
    n, segment, sells = len(shoppers.ids), shoppers.segment, scenario.sells

    def taste(dimensions: int, segment_share: float) -> np.ndarray:  # (n, dimensions)
        common = rng.standard_normal((SEGMENTS, dimensions))[segment]
        return np.sqrt(segment_share) * common + np.sqrt(1 - segment_share) * rng.standard_normal((n, dimensions))

    def quality(things: int) -> np.ndarray:
        return np.append(standardised(rng.standard_normal(things)), 0.0)

    def interaction(rows: int, columns: int) -> np.ndarray:
        table = rng.standard_normal((rows, columns))
        table = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        return np.pad(standardised(table), (0, 1))

    return Preferences(
        category=np.pad(standardised(taste(len(sells.categories), 0.5), axis=1), ((0, 0), (0, 1))),
        brand=np.pad(standardised(taste(len(sells.brands), 0.3), axis=1), ((0, 0), (0, 1))),
        price=standardised(taste(1, 0.5)[:, 0]),
        look=standardised(taste(len(ATOMS), 0.5), axis=0),
        template=quality(len(words.TEMPLATES)),
        headline=quality(len(words.HEADLINE_STYLES)),
        call=quality(len(words.CALLS_TO_ACTION[0])),
        palette=quality(len(words.PALETTES)),
        look_quality=standardised(rng.standard_normal(len(ATOMS))) / np.sqrt(len(ATOMS)),
        product=quality(config.campaigns * sells.products_per_campaign(config.campaigns)),
        segment_template=interaction(SEGMENTS, len(words.TEMPLATES)),
        segment_headline=interaction(SEGMENTS, len(words.HEADLINE_STYLES)),
        palette_hour=interaction(len(words.PALETTES), HOUR_BINS),
    )
