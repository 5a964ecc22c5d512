"""One simulated day of the marketplace: requests, the ads that a policy shows, clicks, feedback and conversions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from components.simulator import vocabulary as words
from components.simulator.catalogue import text_column, timestamps
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
    AdPolicy,
    Requests,
    draw_column,
    draw_shortlists,
    whole_millionths,
)
from components.simulator.market import Market
from components.simulator.randomness import IMPRESSIONS, generator
from components.simulator.shopper_events import daily_count, daily_moments, draw_by_row, draw_weighted

_DAY = 86_400_000_000  # microseconds
FEEDBACK = np.array([None, "like", "hide", "report"], dtype=object)
LIKE, HIDE, REPORT = 1, 2, 3  # positions in FEEDBACK


@dataclass(frozen=True)
class Exposures:
    """Shown ads: `shopper`, `subject` (see Traits) and `moment` (milliseconds since START), int64 [n] each."""

    shopper: np.ndarray
    subject: np.ndarray
    moment: np.ndarray

    @property
    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three arrays, as arguments of `exposures_before`."""
        return self.shopper, self.subject, self.moment

    def extended_by(self, later: "Exposures") -> "Exposures":
        """These exposures, followed by `later`."""
        return Exposures(*(np.concatenate(pair) for pair in zip(self.columns, later.columns, strict=True)))

    def since(self, moment: int) -> "Exposures":
        """The exposures from `moment` on."""
        recent = self.moment >= moment
        return Exposures(*(column[recent] for column in self.columns))


NO_EXPOSURES = Exposures(*(np.empty(0, np.int64) for _ in range(3)))


@dataclass(frozen=True)
class DayDecisions:
    """One day's requests, shortlists, shown creatives and clicks, as codes; n impressions, shortlists of k."""

    requests: Requests
    shortlist: np.ndarray  # int64 [n, k], rows of the creatives; -1 pads
    millionths: np.ndarray  # int64 [n, k], the logging distribution
    creative: np.ndarray  # int64 [n], shown
    chance: np.ndarray  # float64 [n], its propensity
    click: np.ndarray  # bool [n]
    shown: Exposures


@dataclass(frozen=True)
class AdDay:
    """One day's rows of `impressions`, with all conversions known, and of `candidates`, and its exposures."""

    impressions: pd.DataFrame
    candidates: pd.DataFrame
    shown: Exposures


def simulate_ads(market: Market, day: int, earlier: Exposures, policy: AdPolicy, policy_name: str) -> AdDay:
    """The ads of day `day` as `policy` shows them; `earlier`: exposures in the fatigue window before it."""
    rng = generator(market.config.seed, IMPRESSIONS, day)
    decisions = decide_day(market, day, earlier, policy, rng)
    outcome = _outcome(market, decisions.requests, decisions.creative, decisions.click, rng)
    ids = text_column(f"i{day:03d}-{row:06d}" for row in range(len(decisions.click)))
    impressions = _impressions(market, day, ids, decisions, outcome).assign(
        logging_policy=text_column([policy_name] * len(ids))
    )
    return AdDay(impressions, _candidates(market, ids, decisions.shortlist, decisions.millionths), decisions.shown)


def decide_day(
    market: Market, day: int, earlier: Exposures, policy: AdPolicy, rng: np.random.Generator
) -> DayDecisions:
    """The requests of `day`, the creatives that `policy` shows, and the clicks."""
    requests = _requests(market, day, rng)
    active = (market.first_day <= day) & (day <= market.last_day)
    pools = [np.flatnonzero(active & (market.campaign == code)) for code in range(market.config.campaigns)]
    shortlist = draw_shortlists(requests.campaign, pools, market.law.scenario.logging.shortlist, rng)
    millionths = whole_millionths(policy(requests, shortlist))
    column = draw_column(millionths, rng)
    rows = np.arange(len(shortlist))
    creative, chance = shortlist[rows, column], millionths[rows, column] / MILLION
    shown = Exposures(requests.shopper, market.traits.subject[creative], requests.moment // 1000)
    window = market.law.scenario.exposure.fatigue_window_days
    exposures = exposures_before(earlier.extended_by(shown).columns, shown.columns, window)
    at = Situation(requests.shopper, creative, requests.position, requests.hour, np.full(len(rows), day), exposures)
    click = rng.random(len(rows)) < click_probability(market.law, market.traits, at)
    return DayDecisions(requests, shortlist, millionths, creative, chance, click, shown)


def _requests(market: Market, day: int, rng: np.random.Generator) -> Requests:
    """The day's ad slots in order of time; a page has one to three slots, each for one campaign."""
    shoppers = market.law.shoppers
    count = daily_count(market.config.impressions, market.config.days, day)
    slots = 1 + draw_weighted(SLOTS, count, rng)  # more pages than needed, since each has at least one slot
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
    """The outcome of each impression, all [n]: `converted` bool, `delay` in microseconds, `revenue`, `cost` in money,
    `feedback` as text or None."""

    converted: np.ndarray
    delay: np.ndarray
    revenue: np.ndarray
    cost: np.ndarray
    feedback: np.ndarray


def _outcome(
    market: Market, requests: Requests, creative: np.ndarray, click: np.ndarray, rng: np.random.Generator
) -> _Outcome:
    """Conversions and feedback by equations (7) to (10) of the law, revenue, and the cost to the campaign."""
    settings = market.law.scenario.conversion
    chance = conversion_probability(market.law, market.traits, requests.shopper, creative)
    converted = click & (rng.random(len(click)) < chance) & ~market.law.shoppers.bot[requests.shopper]
    delay = np.minimum(rng.exponential(settings.mean_delay_days, len(click)), settings.window_days) * _DAY
    price = np.append(market.catalogue.products["price"].to_numpy(), 0.0)[market.traits.product[creative]]
    campaigns = market.catalogue.campaigns
    bid = campaigns["bid"].to_numpy()[requests.campaign]
    per_view = (campaigns["billing"] == "cpm").to_numpy()[requests.campaign]
    feedback = draw_feedback(market.law, market.traits, requests.shopper, creative, click, rng=rng)
    return _Outcome(
        converted=converted,
        delay=delay.astype(np.int64),
        revenue=np.where(converted, price, 0.0),
        cost=np.where(per_view, bid / 1000, np.where(click, bid, 0.0)).round(6),
        feedback=FEEDBACK[feedback],
    )


def draw_feedback(
    law: Law, traits: Traits, shopper: np.ndarray, creative: np.ndarray, click: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """The feedback to each impression by equations (9) and (10) of the law: int64 [n], positions in FEEDBACK."""
    rates = law.scenario.feedback
    factor = annoyance_factor(rates, traits)[creative]
    draw, people = rng.random(len(click)), ~law.shoppers.bot[shopper]
    hides = draw < rates.hide * factor
    reports = ~hides & (draw < (rates.hide + rates.report) * factor)
    ill = np.where(hides, HIDE, np.where(reports, REPORT, 0))
    return np.where(people, np.where(click, np.where(draw < rates.like, LIKE, 0), ill), 0)


def _impressions(market: Market, day: int, ids: pd.Series, decisions: DayDecisions, outcome: _Outcome) -> pd.DataFrame:
    """The day's rows of `impressions`; `logging_policy` is filled in by the caller."""
    n, requests = len(ids), decisions.requests
    names = {key: table.to_numpy(object) for key, table in _names(market).items()}
    converted_at = timestamps(requests.moment + outcome.delay).where(outcome.converted)
    return pd.DataFrame(
        {
            "impression_id": ids,
            "timestamp": timestamps(requests.moment),
            "shopper_id": text_column(names["shopper"][requests.shopper]),
            "campaign": text_column(names["campaign"][requests.campaign]),
            "position": requests.position,
            "creative_id": text_column(names["creative"][decisions.creative]),
            "propensity": decisions.chance,
            "logging_policy": text_column([None] * n),
            "click": decisions.click.astype(np.int64),
            "request_id": text_column(f"r{day:03d}-{page:06d}" for page in requests.page),
            "placement": text_column(np.array(words.PLACEMENTS, object)[requests.placement]),
            "experiment_id": text_column([None] * n),
            "variant": text_column([None] * n),
            "conversion": pd.array(outcome.converted.astype(np.int64), dtype="Int64"),
            "conversion_timestamp": converted_at,
            "revenue": outcome.revenue,
            "cost": outcome.cost,
            "feedback": text_column(outcome.feedback),
            "context_device": text_column(np.array(words.DEVICES, object)[requests.mobile]),
            "context_local_hour": requests.hour,
        }
    )


def _names(market: Market) -> dict[str, pd.Series]:
    catalogue = market.catalogue
    return {
        "shopper": catalogue.shoppers["shopper_id"],
        "campaign": catalogue.campaigns["campaign"],
        "creative": catalogue.creatives["creative_id"],
    }


def _candidates(market: Market, ids: pd.Series, shortlist: np.ndarray, millionths: np.ndarray) -> pd.DataFrame:
    listed = shortlist >= 0
    row, _ = np.nonzero(listed)
    known = pa.array(ids), pa.array(market.catalogue.creatives["creative_id"])
    return pd.DataFrame(
        {
            "impression_id": text_column(known[0].take(pa.array(row))),
            "creative_id": text_column(known[1].take(pa.array(shortlist[listed]))),
            "propensity": millionths[listed] / MILLION,
        }
    )
