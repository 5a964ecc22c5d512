"""One day of the marketplace: requests come in, a policy chooses, people click (or not) and some buy later."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from components.simulator import vocabulary as words
from components.simulator.catalogue import text, times
from components.simulator.click_law import (
    SLOTS,
    Law,
    Situation,
    annoyance_factor,
    click_probability,
    conversion_probability,
    exposures_before,
)
from components.simulator.law_traits import Traits
from components.simulator.logging_policy import (
    MILLION,
    Chooser,
    Requests,
    draw_column,
    draw_shortlists,
    whole_millionths,
)
from components.simulator.market import Market
from components.simulator.randomness import IMPRESSIONS, generator
from components.simulator.shopper_events import daily_moments, draw_by_row, draw_weighted, quota

_DAY = 86_400_000_000  # microseconds
FEEDBACK = np.array([None, "like", "hide", "report"], dtype=object)
LIKE, HIDE, REPORT = 1, 2, 3  # positions in FEEDBACK


@dataclass(frozen=True)
class Exposures:
    """What was shown to whom: `shopper`, `subject` and `moment` (milliseconds since START), int64 [n] each."""

    shopper: np.ndarray
    subject: np.ndarray
    moment: np.ndarray

    @property
    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three as `exposures_before` takes them."""
        return self.shopper, self.subject, self.moment

    def then(self, later: "Exposures") -> "Exposures":
        """These, and `later` ones after them."""
        return Exposures(*(np.concatenate(pair) for pair in zip(self.columns, later.columns, strict=True)))

    def since(self, moment: int) -> "Exposures":
        """Those from `moment` on."""
        kept = self.moment >= moment
        return Exposures(*(column[kept] for column in self.columns))


NOTHING_SHOWN = Exposures(*(np.empty(0, np.int64) for _ in range(3)))


@dataclass(frozen=True)
class Decided:
    """One day's decisions in codes: what was asked, listed, shown and clicked; n impressions, shortlists of k."""

    requests: Requests
    shortlist: np.ndarray  # int64 [n, k], rows of the creatives; -1 pads
    millionths: np.ndarray  # int64 [n, k], the logging distribution
    creative: np.ndarray  # int64 [n], shown
    chance: np.ndarray  # float64 [n], its propensity
    click: np.ndarray  # bool [n]
    shown: Exposures


@dataclass(frozen=True)
class AdDay:
    """One day's rows of `impressions` (every conversion already known) and `candidates`, and what it showed."""

    impressions: pd.DataFrame
    candidates: pd.DataFrame
    shown: Exposures


def simulate_ads(market: Market, day: int, earlier: Exposures, choose: Chooser, policy: str) -> AdDay:
    """Day `day` with `choose` (called `policy`) deciding what is shown; `earlier` covers the fatigue window."""
    rng = generator(market.config.seed, IMPRESSIONS, day)
    decided = decide(market, day, earlier, choose, rng)
    requests, creative, click = decided.requests, decided.creative, decided.click
    outcome = _outcome(market, requests, creative, click, rng)
    ids = text(f"i{day:03d}-{row:06d}" for row in range(len(click)))
    impressions = _impressions(market, day, ids, requests, creative, decided.chance, click, policy, outcome)
    return AdDay(impressions, _candidates(market, ids, decided.shortlist, decided.millionths), decided.shown)


def decide(market: Market, day: int, earlier: Exposures, choose: Chooser, rng: np.random.Generator) -> Decided:
    """Who comes on `day`, what `choose` shows of what, and who clicks."""
    requests = _requests(market, day, rng)
    active = (market.first_day <= day) & (day <= market.last_day)
    pools = [np.flatnonzero(active & (market.campaign == code)) for code in range(market.config.campaigns)]
    shortlist = draw_shortlists(requests.campaign, pools, market.law.scenario.logging.shortlist, rng)
    millionths = whole_millionths(choose(requests, shortlist))
    column = draw_column(millionths, rng)
    rows = np.arange(len(shortlist))
    creative, chance = shortlist[rows, column], millionths[rows, column] / MILLION
    shown = Exposures(requests.shopper, market.traits.subject[creative], requests.moment // 1000)
    window = market.law.scenario.exposure.fatigue_window_days
    exposures = exposures_before(earlier.then(shown).columns, shown.columns, window)
    at = Situation(requests.shopper, creative, requests.position, requests.hour, np.full(len(rows), day), exposures)
    click = rng.random(len(rows)) < click_probability(market.law, market.traits, at)
    return Decided(requests, shortlist, millionths, creative, chance, click, shown)


def _requests(market: Market, day: int, rng: np.random.Generator) -> Requests:
    """The day's ad slots in order of time: pages of one to three slots, each slot of one campaign."""
    shoppers = market.law.shoppers
    count = quota(market.config.impressions, market.config.days, day)
    slots = 1 + draw_weighted(SLOTS, count, rng)  # more pages than needed, for each has at least one slot
    pages = int(np.searchsorted(slots.cumsum(), count)) + 1
    shopper = draw_weighted(shoppers.traffic * (shoppers.first_day <= day), pages, rng)
    moment, hour = daily_moments(shoppers.locale[shopper], day, rng)
    order = np.argsort(moment, kind="stable")
    shopper, moment, hour = shopper[order], moment[order], hour[order]
    placement = draw_weighted(np.array([0.4, 0.35, 0.25]), pages, rng)
    mobile = (rng.random(pages) < shoppers.mobile_share[shopper]).astype(np.int64)
    page = np.repeat(np.arange(pages), slots[:pages])[:count]
    return Requests(
        page=page,
        shopper=shopper[page],
        campaign=draw_by_row(shoppers.campaign_share[shopper[page]], rng),
        position=np.arange(count) - np.searchsorted(page, page) + 1,
        placement=placement[page],
        mobile=mobile[page],
        hour=hour[page],
        moment=moment[page],
    )


@dataclass(frozen=True)
class _Outcome:
    """What follows each impression: `converted` bool, `delay` in microseconds, `revenue`, `cost` in money, `feedback`
    in words or None; all [n]."""

    converted: np.ndarray
    delay: np.ndarray
    revenue: np.ndarray
    cost: np.ndarray
    feedback: np.ndarray


def _outcome(
    market: Market, requests: Requests, creative: np.ndarray, click: np.ndarray, rng: np.random.Generator
) -> _Outcome:
    """Equations (7) to (10) of the law, and what the campaign pays."""
    settings = market.law.scenario.conversion
    chance = conversion_probability(market.law, market.traits, requests.shopper, creative)
    converted = click & (rng.random(len(click)) < chance) & ~market.law.shoppers.bot[requests.shopper]
    delay = np.minimum(rng.exponential(settings.mean_delay_days, len(click)), settings.window_days) * _DAY
    price = np.append(market.catalogue.products["price"].to_numpy(), 0.0)[market.traits.product[creative]]
    campaigns = market.catalogue.campaigns
    bid = campaigns["bid"].to_numpy()[requests.campaign]
    per_view = (campaigns["billing"] == "cpm").to_numpy()[requests.campaign]
    feedback = draw_feedback(market.law, market.traits, requests.shopper, creative, click, rng)
    return _Outcome(
        converted=converted,
        delay=delay.astype(np.int64),
        revenue=np.where(converted, price, 0.0),
        cost=np.where(per_view, bid / 1000, np.where(click, bid, 0.0)).round(6),
        feedback=FEEDBACK[feedback],
    )


def draw_feedback(
    law: Law, traits: Traits, shopper: np.ndarray, creative: np.ndarray, click: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Equations (9) and (10) of the law: what is answered to each impression, int64 [n], positions in FEEDBACK."""
    chances = law.scenario.feedback
    factor = annoyance_factor(chances, traits)[creative]
    mood, people = rng.random(len(click)), ~law.shoppers.bot[shopper]
    hides = mood < chances.hide * factor
    reports = ~hides & (mood < (chances.hide + chances.report) * factor)
    ill = np.where(hides, HIDE, np.where(reports, REPORT, 0))
    return np.where(people, np.where(click, np.where(mood < chances.like, LIKE, 0), ill), 0)


def _impressions(
    market: Market,
    day: int,
    ids: pd.Series,
    requests: Requests,
    creative: np.ndarray,
    chance: np.ndarray,
    click: np.ndarray,
    policy: str,
    outcome: _Outcome,
) -> pd.DataFrame:
    n = len(ids)
    names = {key: table.to_numpy(object) for key, table in _names(market).items()}
    sold_at = times(requests.moment + outcome.delay).where(outcome.converted)
    return pd.DataFrame(
        {
            "impression_id": ids,
            "timestamp": times(requests.moment),
            "shopper_id": text(names["shopper"][requests.shopper]),
            "campaign": text(names["campaign"][requests.campaign]),
            "position": requests.position,
            "creative_id": text(names["creative"][creative]),
            "propensity": chance,
            "logging_policy": text([policy] * n),
            "click": click.astype(np.int64),
            "request_id": text(f"r{day:03d}-{page:06d}" for page in requests.page),
            "placement": text(np.array(words.PLACEMENTS, object)[requests.placement]),
            "experiment_id": text([None] * n),
            "variant": text([None] * n),
            "conversion": pd.array(outcome.converted.astype(np.int64), dtype="Int64"),
            "conversion_timestamp": sold_at,
            "revenue": outcome.revenue,
            "cost": outcome.cost,
            "feedback": text(outcome.feedback),
            "context_device": text(np.array(words.DEVICES, object)[requests.mobile]),
            "context_local_hour": requests.hour,
        }
    )


def _names(market: Market) -> dict[str, pd.Series]:
    things = market.catalogue
    return {
        "shopper": things.shoppers["shopper_id"],
        "campaign": things.campaigns["campaign"],
        "creative": things.creatives["creative_id"],
    }


def _candidates(market: Market, ids: pd.Series, shortlist: np.ndarray, millionths: np.ndarray) -> pd.DataFrame:
    listed = shortlist >= 0
    row, _ = np.nonzero(listed)
    known = pa.array(ids), pa.array(market.catalogue.creatives["creative_id"])
    return pd.DataFrame(
        {
            "impression_id": text(known[0].take(pa.array(row))),
            "creative_id": text(known[1].take(pa.array(shortlist[listed]))),
            "propensity": millionths[listed] / MILLION,
        }
    )
