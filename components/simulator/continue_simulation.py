"""A marketplace's log -> the days after its end, and what became of clicks whose conversions were still open.

Nothing beside the log is remembered: a day's random draws depend on the seed and the day alone, never on what was
chosen, so a past day is drawn again with its logged propensities and gives the very clicks that were logged, and the
purchases that followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.time_window import mask_open_conversions
from components.settings.errors import UserError
from components.simulator.ad_day import AdDay, Exposures, simulate_ads
from components.simulator.catalogue import START
from components.simulator.logging_policy import MILLION, Chooser, Requests
from components.simulator.market import Market
from components.simulator.shopper_events import draw_events, quota
from components.simulator.truth import positions

_DAY_MS = 86_400_000
LOGS = ("impressions", "candidates", "events")


@dataclass(frozen=True)
class Onward:
    """`logs`: impressions, candidates and events of the new days, as they stand at `ends_at`. `settled`: impressions of
    earlier days, whose conversions have become final since."""

    logs: Mapping[str, pd.DataFrame]
    settled: pd.DataFrame
    ends_at: pd.Timestamp


def go_on(
    market: Market, tables: Mapping[str, pd.DataFrame], ended: pd.Timestamp, days: int, choose: Chooser, policy: str
) -> Onward:
    """`days` days after the log of `tables`, which `ended` at a midnight; `choose` (called `policy`) shows the ads."""
    first, window = day_of(ended), market.law.scenario.conversion.window_days
    ends_at = ended + pd.Timedelta(days=days)
    seen = exposures_of(market, tables["impressions"])
    ads, config = [], market.config
    for day in range(first, first + days):
        ads.append(simulate_ads(market, day, _recent(market, seen, day), choose, policy))
        seen = seen.then(ads[-1].shown)
    counts = [quota(config.events, config.days, day) for day in range(first, first + days)]
    events = [
        draw_events(
            market.law, market.shelves, market.product_traits, market.catalogue.products, config.seed, day, count
        )
        for day, count in enumerate(counts, start=first)
    ]
    logs = {
        "impressions": mask_open_conversions(_stack([each.impressions for each in ads]), ends_at, window),
        "candidates": _stack([each.candidates for each in ads]),
        "events": _stack(events),
    }
    return Onward(logs, _settled(market, tables, ended, ends_at), ends_at)


def day_of(moment: pd.Timestamp) -> int:
    """Days from the world's first midnight to `moment`; UserError where it is no midnight after it."""
    elapsed = moment - pd.Timestamp(START).tz_localize("UTC")
    if elapsed < pd.Timedelta(0) or elapsed % pd.Timedelta(days=1):
        raise UserError(f"the log ends at {moment}, and the simulated world goes on from a midnight (UTC) only")
    return elapsed // pd.Timedelta(days=1)


def exposures_of(market: Market, impressions: pd.DataFrame) -> Exposures:
    """What a log showed to whom."""
    shopper = positions(impressions["shopper_id"], pd.Series(market.law.shoppers.ids), "shopper_id")
    creative = positions(impressions["creative_id"], market.catalogue.creatives["creative_id"], "creative_id")
    elapsed = impressions["timestamp"].dt.tz_convert(None) - pd.Timestamp(START)
    moment = elapsed.dt.as_unit("us").to_numpy().astype(np.int64) // 1000
    return Exposures(shopper, market.traits.subject[creative], moment)


def _recent(market: Market, seen: Exposures, day: int) -> Exposures:
    """What was shown before `day`, as far back as shoppers remember."""
    kept = seen.since((day - market.law.scenario.exposure.fatigue_window_days) * _DAY_MS)
    before = kept.moment < day * _DAY_MS
    return Exposures(*(column[before] for column in kept.columns))


def _settled(
    market: Market, tables: Mapping[str, pd.DataFrame], ended: pd.Timestamp, ends_at: pd.Timestamp
) -> pd.DataFrame:
    """Rows of `impressions` that were open when the log ended and are not at `ends_at`, now with their conversions."""
    log, window = tables["impressions"], pd.Timedelta(days=market.law.scenario.conversion.window_days)
    closing = (log["click"] == 1) & (log["timestamp"] + window > ended) & (log["timestamp"] + window <= ends_at)
    seen = exposures_of(market, log)
    number = (log["timestamp"] - pd.Timestamp(START).tz_localize("UTC")) // pd.Timedelta(days=1)
    known = [log[:0]]
    for day in sorted(number[closing].unique()):
        rows = log[number == day]
        again = _replay(market, int(day), rows, tables["candidates"], _recent(market, seen, int(day)))
        known.append(again.impressions[closing[rows.index].to_numpy()])
    return _stack(known)


def _replay(market: Market, day: int, logged: pd.DataFrame, candidates: pd.DataFrame, earlier: Exposures) -> AdDay:
    """A logged day drawn again; UserError where the log is not what the world made."""
    own = candidates[candidates["impression_id"].isin(set(logged["impression_id"]))]
    creative = positions(own["creative_id"], market.catalogue.creatives["creative_id"], "creative_id")
    choose = _Logged(creative, own["propensity"].to_numpy(), day)
    again = simulate_ads(market, day, earlier, choose, "")
    for column in ("impression_id", "creative_id", "click"):
        if len(logged) != len(again.impressions) or (logged[column].to_numpy() != again.impressions[column]).any():
            raise _changed(day)
    return again


@dataclass(frozen=True)
class _Logged:
    """A day's candidates as a Chooser: `creative` int64 and `propensity` float64 [n_pairs], in the log's order."""

    creative: np.ndarray
    propensity: np.ndarray
    day: int

    def __call__(self, requests: Requests, shortlist: np.ndarray) -> np.ndarray:
        listed = shortlist >= 0
        if not np.array_equal(shortlist[listed], self.creative):
            raise _changed(self.day)
        probability = np.zeros(shortlist.shape)
        # Whole millionths are cut off below; a share of one keeps 0.000003 from becoming 2.9999 millionths.
        probability[listed] = self.propensity + 1e-3 / MILLION
        return probability


def _changed(day: int) -> UserError:
    when = np.datetime_as_string(START + np.timedelta64(day, "D"), unit="D")
    return UserError(f"impressions of {when} are not those that the simulator made; build the data set anew")


def _stack(days: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(days, ignore_index=True)
