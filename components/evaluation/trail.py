"""Checks on what surrounds the decisions: times, repeated rows, impossible outcomes, bots, and what quarantine took."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.integrity import ALPHA, Finding

BOT_CLICKS = 5  # fewer clicks say nothing about a shopper
BOT_CHANCE = 1e-6  # of so many clicks, at the log's click rate
BOT_TRAFFIC = 20.0  # times the median shopper's impressions


@dataclass(frozen=True)
class Trail:
    """Columns of the log beyond the decisions themselves, [n] in the log's order."""

    impression: np.ndarray  # str
    timestamp: np.ndarray  # datetime64[us]
    shopper: np.ndarray  # str
    action: np.ndarray  # str
    position: np.ndarray  # int64
    click: np.ndarray  # int64, 0 or 1
    conversion_timestamp: np.ndarray | None = None  # datetime64[us], NaT: none
    quarantined: pd.Series | None = None  # impressions taken away by quarantine, per action


def trail_of(impressions: pd.DataFrame, quarantine: pd.DataFrame | None = None) -> Trail:
    """`impressions` as the contract has them (in the log's order), and the quarantined ones if there are any."""
    naive = impressions["timestamp"].dt.tz_convert(None).to_numpy("datetime64[us]")
    later = impressions.get("conversion_timestamp")
    return Trail(
        impression=impressions["impression_id"].to_numpy(dtype=object),
        timestamp=naive,
        shopper=impressions["shopper_id"].to_numpy(dtype=object),
        action=impressions["creative_id"].to_numpy(dtype=object),
        position=impressions["position"].to_numpy() if "position" in impressions else np.ones(len(naive), np.int64),
        click=impressions["click"].to_numpy(),
        conversion_timestamp=None if later is None else later.dt.tz_convert(None).to_numpy("datetime64[us]"),
        quarantined=None if quarantine is None else quarantine["creative_id"].value_counts(),
    )


def check_trail(trail: Trail) -> tuple[Finding, ...]:
    """All checks of this page."""
    found = [_duplicates(trail), _order(trail), _time_travel(trail), _bots(trail)]
    if trail.quarantined is not None:
        found.append(_quarantine(trail))
    return tuple(found)


def _duplicates(trail: Trail) -> Finding:
    """The same shopper seeing the same action at the same position and microsecond, or the same id, twice."""
    rows = pd.DataFrame(
        {"s": trail.shopper, "t": trail.timestamp, "a": trail.action, "p": trail.position, "c": trail.click}
    )
    repeated = (rows.duplicated() | pd.Series(trail.impression).duplicated()).to_numpy()
    if not repeated.any():
        return Finding("duplicates", "ok", "no impression is there twice")
    example = trail.impression[repeated][:3].tolist()
    words = f"{int(repeated.sum()):,} impressions are there twice, such as {example}"
    return Finding("duplicates", "critical", words, float(repeated.mean()))


def _order(trail: Trail) -> Finding:
    """Whether the log still is in order of time, which the gate's bound needs: a data set is put into it when read."""
    back = trail.timestamp[1:] < trail.timestamp[:-1]
    if not back.any():
        return Finding("order", "ok", "impressions are in order of time")
    words = f"{int(back.sum()):,} impressions stand before an earlier one: rows may have been joined in the wrong order"
    return Finding("order", "critical", words, float(back.mean()))


def _time_travel(trail: Trail) -> Finding:
    """Outcomes before their impression, or without the click that they need."""
    if trail.conversion_timestamp is None:
        return Finding("time_travel", "inconclusive", "the log has no conversion times")
    sold = ~np.isnat(trail.conversion_timestamp)
    wrong = sold & ((trail.conversion_timestamp < trail.timestamp) | (trail.click == 0))
    if not wrong.any():
        return Finding("time_travel", "ok", "no outcome comes before its impression or without a click")
    example = trail.impression[wrong][:3].tolist()
    words = f"{int(wrong.sum()):,} conversions come before their impression or without a click, such as {example}"
    return Finding("time_travel", "critical", words, float(wrong.mean()))


def bot_like(trail: Trail) -> np.ndarray:
    """Rows of shoppers who click impossibly often, or see impossibly much: bool [n]."""
    from scipy.stats import binom

    code = pd.factorize(trail.shopper)[0]
    seen, clicked = np.bincount(code), np.bincount(code, trail.click)
    rate = float(trail.click.mean())
    keen = (clicked >= BOT_CLICKS) & (binom.sf(clicked - 1, seen, rate) < BOT_CHANCE)
    busy = seen > BOT_TRAFFIC * max(np.median(seen), 5.0)
    return (keen | busy)[code]


def _bots(trail: Trail) -> Finding:
    flagged = bot_like(trail)
    if not flagged.any():
        return Finding("bots", "ok", "no shopper looks like a bot")
    shoppers = len(set(trail.shopper[flagged]))
    clicks = float(trail.click[flagged].sum() / max(trail.click.sum(), 1))
    words = f"{shoppers} shoppers look like bots: {flagged.mean():.2%} of impressions and {clicks:.1%} of clicks"
    return Finding("bots", "notice", words, float(flagged.mean()))


def _quarantine(trail: Trail) -> Finding:
    """Whether quarantine took a larger share of some actions than of others: chi-squared on actions x kept."""
    from scipy.stats import chi2

    kept = pd.Series(trail.action).value_counts()
    lost = trail.quarantined.reindex(kept.index.union(trail.quarantined.index), fill_value=0)
    both = kept.reindex(lost.index, fill_value=0) + lost
    share = float(lost.sum() / both.sum())
    if share == 0:
        return Finding("quarantine", "ok", "quarantine took no impression")
    frequent = both * share * (1 - share) > 1
    expected = both[frequent] * share
    statistic = float(((lost[frequent] - expected) ** 2 / (expected * (1 - share))).sum())
    chance = float(chi2.sf(statistic, max(int(frequent.sum()) - 1, 1)))
    if frequent.sum() < 2 or chance >= ALPHA:
        return Finding("quarantine", "ok", f"quarantine took {share:.2%} of impressions, alike for all actions", share)
    worst = str(((lost - both * share) / np.sqrt(both * share + 1)).idxmax())
    words = f"quarantine took {share:.2%} of impressions, but {lost[worst] / both[worst]:.0%} of {worst}'s"
    return Finding("quarantine", "critical", words, share)
