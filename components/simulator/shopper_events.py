"""The table `events`, one day at a time: what shoppers do on the shop's pages, by their latent tastes.

A session belongs to one shopper and mostly to one category, drawn by taste:

    P(category | s) ~ exp(kappa C_s[category])                          kappa = scenario.event_taste          (1)
    product: of 12 drawn at random from that category and the shopper's language, the one with the largest
             kappa (B_s[brand] + p_s z + <l_s, look> / 2) + Gumbel noise                                     (2)

So views, searches and baskets are informative of the tastes that affect clicks on ads (click_law.py); the larger kappa,
the less noisy.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.schema import EVENT_KINDS
from components.simulator.assortments import Assortment
from components.simulator.catalogue import text_column, timestamps
from components.simulator.click_law import Law, preferences_on
from components.simulator.law_traits import Traits
from components.simulator.population import Preferences
from components.simulator.randomness import EVENTS, generator

# Relative frequency of each kind by segment: some segments buy more, others like and share more.
_MIX = np.array(
    [
        [50, 12, 12, 12, 2.0, 3.0, 0.5, 6, 2.5],
        [55, 14, 12, 6, 1.0, 1.0, 1.0, 7, 3.0],
        [52, 12, 18, 3, 0.5, 0.5, 1.0, 9, 4.0],
        [58, 10, 20, 2, 0.5, 0.5, 1.5, 5, 2.5],
        [60, 8, 22, 1, 0.5, 0.2, 2.0, 4, 2.3],
        [45, 16, 10, 8, 1.5, 2.0, 1.0, 11, 5.5],
    ]
)
# Relative traffic of the 24 local hours.
HOURS = np.array(
    [1.5, 0.8, 0.5, 0.4, 0.4, 0.6, 1.2, 2.2, 3.2, 3.8, 4.2, 4.6,
     5.0, 4.8, 4.4, 4.3, 4.6, 5.2, 6.0, 6.8, 7.2, 6.6, 4.8, 2.9]
)  # fmt: skip
CONSIDERED = 12
FOCUS = 0.8  # share of a session's events in the session's category
HOUR_OFFSET = np.array([0, 8])  # by language: hours of the shoppers' local time ahead of UTC
_DAY, _HOUR, _SECOND = 86_400_000_000, 3_600_000_000, 1_000_000


@dataclass(frozen=True)
class _DayEvents:
    """A day's events in order of time, int64 [n] each: rows of shopper and product, microseconds since START, codes."""

    shopper: np.ndarray
    moment: np.ndarray
    product: np.ndarray
    category: np.ndarray
    kind: np.ndarray


@dataclass(frozen=True)
class Shelves:
    """Products by (language, category): `rows` int64, grouped, with `start` and `count` [locales, categories]
    of each group."""

    rows: np.ndarray
    start: np.ndarray
    count: np.ndarray


def stock_shelves(locale: np.ndarray, category: np.ndarray, sells: Assortment) -> Shelves:
    """Products grouped by language and category codes, int64 [p] each."""
    shape = (len(sells.locales), len(sells.categories))
    group = locale * shape[1] + category
    order = np.argsort(group, kind="stable")
    count = np.bincount(group, minlength=shape[0] * shape[1])
    start = np.concatenate([[0], count.cumsum()[:-1]])
    return Shelves(order, start.reshape(shape), count.reshape(shape))


def daily_moments(locale: np.ndarray, day: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random times on `day` for shoppers of languages `locale`: microseconds since START and local hour, int64 [n]."""
    hour = draw_weighted(HOURS, len(locale), rng)
    utc = (hour - HOUR_OFFSET[locale]) % 24
    return day * _DAY + utc * _HOUR + rng.integers(0, _HOUR, len(locale)), hour


def draw_weighted(weight: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` positions drawn with probability proportional to `weight`, int64."""
    edges = weight.cumsum()
    return np.searchsorted(edges, rng.random(n) * edges[-1], side="right").clip(max=len(weight) - 1)


def draw_by_row(weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column per row of `weight` [n, k], drawn with probability proportional to it: int64 [n]."""
    edges = weight.cumsum(axis=1)
    chosen = (rng.random(len(weight))[:, None] * edges[:, -1:] >= edges).sum(axis=1)
    return chosen.clip(max=weight.shape[1] - 1)


def daily_count(total: int, days: int, day: int) -> int:
    """The share of `day` if `total` rows are spread evenly over `days` days; also defined beyond the log's end."""
    return (day + 1) * total // days - day * total // days


def draw_events(
    law: Law, shelves: Shelves, traits: Traits, products: pd.DataFrame, *, seed: int, day: int, count: int
) -> pd.DataFrame:
    """`count` events of one day in the contract's columns, in order of time."""
    rng = generator(seed, EVENTS, day)
    preferences = preferences_on(law, day)
    shopper, moment, first, session_category = _sessions(law, preferences, shelves, day=day, count=count, rng=rng)
    category = _categories(law, preferences, shelves, shopper, session_category, rng=rng)
    product = _products(law, preferences, shelves, traits, shopper=shopper, category=category, rng=rng)
    kind = draw_by_row((_MIX / _MIX.sum(axis=1, keepdims=True))[law.shoppers.segment[shopper]], rng)
    kind = np.where(first & (rng.random(count) < 0.4), EVENT_KINDS.index("search"), kind)
    order = np.argsort(moment, kind="stable")
    events = _DayEvents(*(values[order] for values in (shopper, moment, product, category, kind)))
    return _table(law, products, day, events, rng)


def _sessions(
    law: Law, preferences: Preferences, shelves: Shelves, *, day: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """By event, [count] each: shopper, moment, whether it begins a session, and the session's category."""
    traffic = law.shoppers.traffic * (law.shoppers.first_day <= day)
    size = 1 + rng.poisson(3.0, count)  # more sessions than needed, since each has at least one event
    sessions = int(np.searchsorted(size.cumsum(), count)) + 1
    shopper = draw_weighted(traffic, sessions, rng)
    start, _ = daily_moments(law.shoppers.locale[shopper], day, rng)
    category = draw_by_row(_category_weight(law, preferences, shelves, shopper), rng)
    session = np.repeat(np.arange(sessions), size[:sessions])[:count]
    step = np.arange(count) - np.searchsorted(session, session)  # place within the session
    gap = rng.integers(10 * _SECOND, 90 * _SECOND, count)
    moment = np.minimum(start[session] + step * 60 * _SECOND + gap, (day + 1) * _DAY - 1)
    return shopper[session], moment, step == 0, category[session]


def _category_weight(law: Law, preferences: Preferences, shelves: Shelves, shopper: np.ndarray) -> np.ndarray:
    """Equation (1) over the categories that the shopper's language has: float64 [n, categories]."""
    liking = preferences.category[shopper, : len(law.scenario.sells.categories)]
    return np.exp(law.scenario.event_taste * liking) * (shelves.count[law.shoppers.locale[shopper]] > 0)


def _categories(
    law: Law,
    preferences: Preferences,
    shelves: Shelves,
    shopper: np.ndarray,
    session_category: np.ndarray,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """The category of each event, int64 [n]: its session's with probability FOCUS, else another draw of (1)."""
    elsewhere = rng.random(len(shopper)) >= FOCUS
    other = draw_by_row(_category_weight(law, preferences, shelves, shopper), rng)
    return np.where(elsewhere, other, session_category)


def _products(
    law: Law,
    preferences: Preferences,
    shelves: Shelves,
    traits: Traits,
    *,
    shopper: np.ndarray,
    category: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The row of each event's product by equation (2), int64 [n]."""
    sharpness = law.scenario.event_taste
    locale = law.shoppers.locale[shopper]
    start, size = shelves.start[locale, category], shelves.count[locale, category]
    considered = shelves.rows[
        start[:, None] + (rng.random((len(shopper), CONSIDERED)) * size[:, None]).astype(np.int64)
    ]
    row = shopper[:, None]
    looks = np.einsum("nkj,nj->nk", traits.look[considered], preferences.look[shopper]) / np.sqrt(traits.look.shape[1])
    brand, price = preferences.brand[row, traits.brand[considered]], preferences.price[row] * traits.price[considered]
    liking = brand + price + looks
    chosen = (sharpness * liking + rng.gumbel(size=considered.shape)).argmax(axis=1)
    return considered[np.arange(len(considered)), chosen]


def _table(law: Law, products: pd.DataFrame, day: int, events: _DayEvents, rng: np.random.Generator) -> pd.DataFrame:
    n = len(events.kind)
    is_kind = {name: events.kind == code for code, name in enumerate(EVENT_KINDS)}
    price = products["price"].to_numpy()[events.product]
    names = products["product_id"].to_numpy(object)[events.product]
    seconds = np.exp(2.5 + 0.8 * rng.standard_normal(n)).round(1)
    seconds = np.where(law.shoppers.bot[events.shopper], 0.3, seconds)  # bots leave a page at once
    width = max(6, len(str(n - 1)))  # so that ids are in order of time
    return pd.DataFrame(
        {
            "event_id": text_column(f"e{day:03d}-{row:0{width}d}" for row in range(n)),
            "timestamp": timestamps(events.moment),
            "shopper_id": text_column(np.array(law.shoppers.ids, object)[events.shopper]),
            "kind": text_column(np.array(EVENT_KINDS, object)[events.kind]),
            "product_id": text_column(np.where(is_kind["search"], None, names)),
            "text": text_column(_texts(law, products, events, rng)),
            "dwell_seconds": np.where(is_kind["view"], seconds, np.nan),
            "value": np.where(is_kind["cart"] | is_kind["purchase"], price, np.nan),
        }
    )


def _texts(law: Law, products: pd.DataFrame, events: _DayEvents, rng: np.random.Generator) -> list[str | None]:
    """The query of each search and the text of each review and comment; None for other events."""
    brand = products["brand"].to_numpy(object)[events.product]
    locale = law.shoppers.locale[events.shopper]
    word, form = rng.integers(0, 3, len(events.kind)), rng.random(len(events.kind))
    is_review = np.isin(events.kind, [EVENT_KINDS.index("review"), EVENT_KINDS.index("comment")])
    texts: list[str | None] = [None] * len(events.kind)
    sells = law.scenario.sells
    for row in np.flatnonzero((events.kind == EVENT_KINDS.index("search")) | is_review):
        language, names = locale[row], sells.category_words[locale[row]][events.category[row]]
        if is_review[row]:
            texts[row] = sells.reviews[language][word[row]].format(word=names[0])
        elif form[row] < 0.5 or not isinstance(brand[row], str):
            texts[row] = names[word[row]]
        else:
            texts[row] = f"{brand[row]}{' ' if language == 0 else ''}{names[word[row]]}"
    return texts
