"""Simulate the days after the end of a marketplace's log, and the conversions of clicks that were open at its end.

The simulator stores nothing beside the log. A day's random draws depend only on the seed and the day, not on the ads
that are shown. So a past day that is drawn again with its logged propensities gives the logged clicks, and their
conversions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.time_window import mask_open_conversions
from components.settings.errors import UserError
from components.simulator.ad_day import AdDay, Exposures, simulate_ads
from components.simulator.catalogue import START
from components.simulator.logging_policy import MILLION, AdPolicy, Requests
from components.simulator.market import Market
from components.simulator.shopper_events import daily_count, draw_events
from components.simulator.truth import positions

_DAY_MS = 86_400_000
LOGS = ("impressions", "candidates", "events")


@dataclass(frozen=True)
class Continuation:
    """The result of `continue_log`.

    logs: impressions, candidates and events of the new days, as known at `ends_at`; settled: impressions of earlier
    days whose conversions became final in these days.
    """

    logs: Mapping[str, pd.DataFrame]
    settled: pd.DataFrame
    ends_at: pd.Timestamp


def continue_log(
    market: Market,
    tables: Mapping[str, pd.DataFrame],
    ended: pd.Timestamp,
    days: int,
    *,
    policy: AdPolicy,
    policy_name: str,
) -> Continuation:
    """The `days` days after the log of `tables`, which `ended` at a midnight, with the ads that `policy` shows."""
    first, window = day_of(ended), market.law.scenario.conversion.window_days
    ends_at = ended + pd.Timedelta(days=days)
    exposures = exposures_of(market, tables["impressions"])
    ads, events = [], []
    for day in range(first, first + days):
        ads.append(simulate_ads(market, day, _recent(market, exposures, day), policy, policy_name))
        exposures = exposures.extended_by(ads[-1].shown)
        events.append(events_of(market, day))
    logs = {
        "impressions": mask_open_conversions(_stack([ad_day.impressions for ad_day in ads]), ends_at, window),
        "candidates": _stack([ad_day.candidates for ad_day in ads]),
        "events": _stack(events),
    }
    return Continuation(logs, _settled(market, tables, ended, ends_at), ends_at)


def events_of(market: Market, day: int) -> pd.DataFrame:
    """The shoppers' events of a day, which do not depend on its ads."""
    config, products = market.config, market.catalogue.products
    count = daily_count(config.events, config.days, day)
    return draw_events(
        market.law, market.shelves, market.product_traits, products, seed=config.seed, day=day, count=count
    )


def day_of(moment: pd.Timestamp) -> int:
    """Days from START to `moment`; UserError unless it is a midnight after START."""
    elapsed = moment - pd.Timestamp(START).tz_localize("UTC")
    if elapsed < pd.Timedelta(0) or elapsed % pd.Timedelta(days=1):
        raise UserError(f"the log ends at {moment}; the simulation can continue from a midnight (UTC) only")
    return elapsed // pd.Timedelta(days=1)


def exposures_of(market: Market, impressions: pd.DataFrame) -> Exposures:
    """The exposures in a log: shopper, subject and time of each impression."""
    shopper = positions(impressions["shopper_id"], pd.Series(market.law.shoppers.ids), "shopper_id")
    creative = positions(impressions["creative_id"], market.catalogue.creatives["creative_id"], "creative_id")
    elapsed = impressions["timestamp"].dt.tz_convert(None) - pd.Timestamp(START)
    moment = elapsed.dt.as_unit("us").to_numpy().astype(np.int64) // 1000
    return Exposures(shopper, market.traits.subject[creative], moment)


def _recent(market: Market, exposures: Exposures, day: int) -> Exposures:
    """The exposures before `day` within the fatigue window."""
    recent = exposures.since((day - market.law.scenario.exposure.fatigue_window_days) * _DAY_MS)
    before = recent.moment < day * _DAY_MS
    return Exposures(*(column[before] for column in recent.columns))


def _settled(
    market: Market, tables: Mapping[str, pd.DataFrame], ended: pd.Timestamp, ends_at: pd.Timestamp
) -> pd.DataFrame:
    """Impressions whose conversion windows were open at `ended` and are closed at `ends_at`, with their conversions."""
    log, window = tables["impressions"], pd.Timedelta(days=market.law.scenario.conversion.window_days)
    closing = (log["click"] == 1) & (log["timestamp"] + window > ended) & (log["timestamp"] + window <= ends_at)
    exposures = exposures_of(market, log)
    number = (log["timestamp"] - pd.Timestamp(START).tz_localize("UTC")) // pd.Timedelta(days=1)
    settled = [log[:0]]
    for day in sorted(number[closing].unique()):
        rows = log[number == day]
        replayed = _replay(market, int(day), rows, tables["candidates"], _recent(market, exposures, int(day)))
        settled.append(replayed.impressions[closing[rows.index].to_numpy()])
    return _stack(settled)


def _replay(market: Market, day: int, logged: pd.DataFrame, candidates: pd.DataFrame, earlier: Exposures) -> AdDay:
    """A logged day drawn again; UserError if its impressions or clicks differ from the logged ones."""
    offered = candidates[candidates["impression_id"].isin(set(logged["impression_id"]))]
    creative = positions(offered["creative_id"], market.catalogue.creatives["creative_id"], "creative_id")
    policy = _LoggedPropensities(creative, offered["propensity"].to_numpy(), day)
    replayed = simulate_ads(market, day, earlier, policy, "")
    for column in ("impression_id", "creative_id", "click"):
        different = logged[column].to_numpy() != replayed.impressions[column]
        if len(logged) != len(replayed.impressions) or different.any():
            raise _changed(day)
    return replayed


@dataclass(frozen=True)
class _LoggedPropensities:
    """A day's candidates as an AdPolicy: `creative` int64 and `propensity` float64 [n_pairs], in the log's order."""

    creative: np.ndarray
    propensity: np.ndarray
    day: int

    def __call__(self, requests: Requests, shortlist: np.ndarray) -> np.ndarray:
        listed = shortlist >= 0
        if not np.array_equal(shortlist[listed], self.creative):
            raise _changed(self.day)
        probability = np.zeros(shortlist.shape)
        # Probabilities are rounded down to millionths later; the addend keeps 0.000003 from becoming 2.9999 millionths.
        probability[listed] = self.propensity + 1e-3 / MILLION
        return probability


def _changed(day: int) -> UserError:
    when = np.datetime_as_string(START + np.timedelta64(day, "D"), unit="D")
    return UserError(f"impressions of {when} differ from those that the simulator made; build the data set again")


def _stack(days: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(days, ignore_index=True)
