"""Checks on what surrounds the decisions: times, repeated rows, impossible outcomes, bots, and what quarantine took."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.log_checks.integrity import ALPHA, Finding
from components.evaluation.log_checks.shopper_ids import placeholders_of, shopper_codes, unknown_shoppers

BOT_CLICKS = 5  # fewer clicks say nothing about a shopper
BOT_CHANCE = 1e-6  # of so many clicks, at the log's click rate
BOT_TRAFFIC = 20.0  # times the median shopper's impressions
UNITS = {"days": 86_400_000_000, "hours": 3_600_000_000, "minutes": 60_000_000, "seconds": 1_000_000}  # microseconds
LARGE_SHARE = 0.05  # of the impressions; how much of them makes an evaluation abstain is a setting
COARSE = ("days", "hours", "minutes")  # in which one shopper may well see one action twice at one position


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
    found += [*_coarse_times(trail), *check_shoppers(trail.shopper)]
    if trail.quarantined is not None:
        found.append(_quarantine(trail))
    return tuple(found)


def check_shoppers(shopper: np.ndarray) -> tuple[Finding, ...]:
    """Rows whose shopper is unknown, and the known shopper [n] with the most rows; `share` is of the impressions."""
    unknown = unknown_shoppers(shopper)
    found = []
    if unknown.any():
        written = ", ".join(repr(name) if name != "null" else name for name in placeholders_of(shopper)[:3])
        words = (
            f"{int(unknown.sum()):,} of {len(unknown):,} impressions have no known shopper (shopper_id is {written}); "
            "each counts as a shopper of its own, so intervals are too narrow if some of them are of one person"
        )
        found.append(Finding("unknown_shoppers", "notice", words, float(unknown.mean())))
    names = pd.Series(np.asarray(shopper, dtype=object)[~unknown]).value_counts()
    if len(names):
        share = float(names.iloc[0] / len(unknown))
        words = f"shopper {str(names.index[0])!r} has {share:.1%} of the impressions"
        found.append(Finding("shopper_share", "notice" if share > LARGE_SHARE else "ok", words, share))
    return tuple(found)


def unit_of(timestamp: np.ndarray) -> str | None:
    """The largest of UNITS in which all times (datetime64[us], NaT left out) are whole; None: finer than seconds."""
    moments = timestamp[~np.isnat(timestamp)].astype("datetime64[us]").astype(np.int64)
    return next((name for name, length in UNITS.items() if len(moments) and not (moments % length).any()), None)


def _coarse_times(trail: Trail) -> list[Finding]:
    unit = unit_of(trail.timestamp)
    if unit not in COARSE or len(trail.timestamp) < 2:
        return []
    words = (
        f"all timestamps are whole {unit}, so two rows of one shopper, action and time may be two impressions or one "
        f"written twice: only ids were compared; rows of one {unit[:-1]} have no order among them"
    )
    return [Finding("coarse_times", "notice", words)]


def _duplicates(trail: Trail) -> Finding:
    """The same id twice, or the same shopper seeing the same action at the same position and time.

    The latter is no evidence where times are coarse, or, at whole seconds, where the shopper is unknown.
    """
    repeated = pd.Series(trail.impression).duplicated().to_numpy()
    unit = unit_of(trail.timestamp)
    if unit not in COARSE:
        shopper = trail.shopper if unit is None else shopper_codes(trail.shopper)
        rows = pd.DataFrame(
            {"s": shopper, "t": trail.timestamp, "a": trail.action, "p": trail.position, "c": trail.click}
        )
        repeated = repeated | rows.duplicated().to_numpy()
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
    unit = unit_of(trail.conversion_timestamp)
    moment = trail.timestamp.astype("datetime64[us]")
    if unit is not None:  # a sale of the same day, say, is not before its impression
        moment = moment - (moment.astype(np.int64) % UNITS[unit]).astype("timedelta64[us]")
    wrong = sold & ((trail.conversion_timestamp < moment) | (trail.click == 0))
    if not wrong.any():
        return Finding("time_travel", "ok", "no outcome comes before its impression or without a click")
    example = trail.impression[wrong][:3].tolist()
    words = f"{int(wrong.sum()):,} conversions come before their impression or without a click, such as {example}"
    return Finding("time_travel", "critical", words, float(wrong.mean()))


def bot_like(trail: Trail) -> np.ndarray:
    """Rows of known shoppers who click impossibly often, or see impossibly much: bool [n]."""
    from scipy.stats import binom

    code, known = shopper_codes(trail.shopper), ~unknown_shoppers(trail.shopper)
    seen, clicked = np.bincount(code), np.bincount(code, trail.click)
    rate = float(trail.click.mean())
    keen = (clicked >= BOT_CLICKS) & (binom.sf(clicked - 1, seen, rate) < BOT_CHANCE)
    usual = np.median(seen[np.unique(code[known])]) if known.any() else 0.0
    busy = seen > BOT_TRAFFIC * max(usual, 5.0)
    return (keen | busy)[code] & known


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
