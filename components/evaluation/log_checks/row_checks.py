"""Checks of a log's rows: times, repeated rows, impossible outcomes, bots, and the rows in quarantine."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.log_checks.integrity import ALPHA
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.log_checks.shopper_ids import placeholders_of, shopper_codes, unknown_shoppers

MIN_BOT_CLICKS = 5  # fewer clicks are no evidence about a shopper
BOT_CHANCE = 1e-6  # probability of so many clicks at the log's click rate
BOT_TRAFFIC = 20.0  # times the median shopper's impressions
UNITS = {"days": 86_400_000_000, "hours": 3_600_000_000, "minutes": 60_000_000, "seconds": 1_000_000}  # microseconds
NOTICE_SHARE = 0.05  # of the impressions; the share at which an evaluation abstains is a setting
COARSE_UNITS = ("days", "hours", "minutes")  # in which a shopper may see an action twice at the same position


@dataclass(frozen=True)
class LogRows:
    """The columns that the checks read, [n] in the log's order."""

    impression: np.ndarray  # str
    timestamp: np.ndarray  # datetime64[us]
    shopper: np.ndarray  # str
    action: np.ndarray  # str
    position: np.ndarray  # int64
    click: np.ndarray  # int64, 0 or 1
    conversion_timestamp: np.ndarray | None = None  # datetime64[us], NaT: none
    quarantined: pd.Series | None = None  # number of impressions in quarantine, per action


def log_rows(impressions: pd.DataFrame, quarantine: pd.DataFrame | None = None) -> LogRows:
    """The columns of the contract's `impressions`, in the log's order; `quarantine`: the impressions in quarantine."""
    naive = impressions["timestamp"].dt.tz_convert(None).to_numpy("datetime64[us]")
    conversion = impressions.get("conversion_timestamp")
    return LogRows(
        impression=impressions["impression_id"].to_numpy(dtype=object),
        timestamp=naive,
        shopper=impressions["shopper_id"].to_numpy(dtype=object),
        action=impressions["creative_id"].to_numpy(dtype=object),
        position=impressions["position"].to_numpy() if "position" in impressions else np.ones(len(naive), np.int64),
        click=impressions["click"].to_numpy(),
        conversion_timestamp=None if conversion is None else conversion.dt.tz_convert(None).to_numpy("datetime64[us]"),
        quarantined=None if quarantine is None else quarantine["creative_id"].value_counts(),
    )


def check_rows(rows: LogRows) -> tuple[Finding, ...]:
    """The findings of all checks in this module."""
    findings = [_duplicates(rows), _order(rows), _time_travel(rows), _bots(rows)]
    findings += [*_coarse_times(rows), *check_shoppers(rows.shopper)]
    if rows.quarantined is not None:
        findings.append(_quarantine(rows))
    return tuple(findings)


def check_shoppers(shopper: np.ndarray) -> tuple[Finding, ...]:
    """Findings on rows with an unknown shopper, and on the known shopper with most rows; share: of the impressions."""
    unknown = unknown_shoppers(shopper)
    findings = []
    if unknown.any():
        written = ", ".join(repr(name) if name != "null" else name for name in placeholders_of(shopper)[:3])
        message = (
            f"{int(unknown.sum()):,} of {len(unknown):,} impressions have no known shopper (shopper_id is {written}); "
            "each counts as a shopper of its own, so intervals are too narrow if some of them are of one person"
        )
        findings.append(Finding("unknown_shoppers", "notice", message, float(unknown.mean())))
    names = pd.Series(np.asarray(shopper, dtype=object)[~unknown]).value_counts()
    if len(names):
        share = float(names.iloc[0] / len(unknown))
        message = f"shopper {str(names.index[0])!r} has {share:.1%} of the impressions"
        findings.append(Finding("shopper_share", "notice" if share > NOTICE_SHARE else "ok", message, share))
    return tuple(findings)


def unit_of(timestamp: np.ndarray) -> str | None:
    """The largest of UNITS in which all times (datetime64[us], without NaT) are whole; None: finer than seconds."""
    times = timestamp[~np.isnat(timestamp)].astype("datetime64[us]").astype(np.int64)
    return next((name for name, length in UNITS.items() if len(times) and not (times % length).any()), None)


def _coarse_times(rows: LogRows) -> list[Finding]:
    unit = unit_of(rows.timestamp)
    if unit not in COARSE_UNITS or len(rows.timestamp) < 2:
        return []
    message = (
        f"all timestamps are whole {unit}, so two rows of one shopper, action and time may be two impressions or one "
        f"written twice: only ids were compared; the order of rows within one {unit[:-1]} is unknown"
    )
    return [Finding("coarse_times", "notice", message)]


def _duplicates(rows: LogRows) -> Finding:
    """Rows with the same id, or with the same shopper, action, position and time.

    The latter is no evidence if times are coarse, or if times are whole seconds and the shopper is unknown.
    """
    repeated = pd.Series(rows.impression).duplicated().to_numpy()
    unit = unit_of(rows.timestamp)
    if unit not in COARSE_UNITS:
        shopper = rows.shopper if unit is None else shopper_codes(rows.shopper)
        columns = {"s": shopper, "t": rows.timestamp, "a": rows.action, "p": rows.position, "c": rows.click}
        repeated = repeated | pd.DataFrame(columns).duplicated().to_numpy()
    if not repeated.any():
        return Finding("duplicates", "ok", "no impression occurs twice")
    example = rows.impression[repeated][:3].tolist()
    message = f"{int(repeated.sum()):,} impressions occur twice, such as {example}"
    return Finding("duplicates", "critical", message, float(repeated.mean()))


def _order(rows: LogRows) -> Finding:
    """Whether the log is in order of time, which the gate's bound needs; validation sorts the impressions."""
    back = rows.timestamp[1:] < rows.timestamp[:-1]
    if not back.any():
        return Finding("order", "ok", "impressions are in order of time")
    message = (
        f"{int(back.sum()):,} impressions come before an earlier one: rows may have been joined in the wrong order"
    )
    return Finding("order", "critical", message, float(back.mean()))


def _time_travel(rows: LogRows) -> Finding:
    """Conversions before their impression, or without a click."""
    if rows.conversion_timestamp is None:
        return Finding("time_travel", "inconclusive", "the log has no conversion times")
    converted = ~np.isnat(rows.conversion_timestamp)
    unit = unit_of(rows.conversion_timestamp)
    shown = rows.timestamp.astype("datetime64[us]")
    if unit is not None:  # a conversion on the same day, for example, is not before its impression
        shown = shown - (shown.astype(np.int64) % UNITS[unit]).astype("timedelta64[us]")
    wrong = converted & ((rows.conversion_timestamp < shown) | (rows.click == 0))
    if not wrong.any():
        return Finding("time_travel", "ok", "no conversion comes before its impression or without a click")
    example = rows.impression[wrong][:3].tolist()
    message = f"{int(wrong.sum()):,} conversions come before their impression or without a click, such as {example}"
    return Finding("time_travel", "critical", message, float(wrong.mean()))


def bot_like(rows: LogRows) -> np.ndarray:
    """Rows of known shoppers with improbably many clicks or impressions: bool [n]."""
    from scipy.stats import binom

    code, known = shopper_codes(rows.shopper), ~unknown_shoppers(rows.shopper)
    impressions, clicks = np.bincount(code), np.bincount(code, rows.click)
    rate = float(rows.click.mean())
    many_clicks = (clicks >= MIN_BOT_CLICKS) & (binom.sf(clicks - 1, impressions, rate) < BOT_CHANCE)
    median = np.median(impressions[np.unique(code[known])]) if known.any() else 0.0
    many_impressions = impressions > BOT_TRAFFIC * max(median, 5.0)
    return (many_clicks | many_impressions)[code] & known


def _bots(rows: LogRows) -> Finding:
    flagged = bot_like(rows)
    if not flagged.any():
        return Finding("bots", "ok", "no shopper looks like a bot")
    shoppers = len(set(rows.shopper[flagged]))
    clicks = float(rows.click[flagged].sum() / max(rows.click.sum(), 1))
    message = f"{shoppers} shoppers look like bots: {flagged.mean():.2%} of impressions and {clicks:.1%} of clicks"
    return Finding("bots", "notice", message, float(flagged.mean()))


def _quarantine(rows: LogRows) -> Finding:
    """A chi-squared test whether some actions have a larger share of their impressions in quarantine than others."""
    from scipy.stats import chi2

    valid = pd.Series(rows.action).value_counts()
    removed = rows.quarantined.reindex(valid.index.union(rows.quarantined.index), fill_value=0)
    total = valid.reindex(removed.index, fill_value=0) + removed
    share = float(removed.sum() / total.sum())
    if share == 0:
        return Finding("quarantine", "ok", "no impression is in quarantine")
    frequent = total * share * (1 - share) > 1
    expected = total[frequent] * share
    statistic = float(((removed[frequent] - expected) ** 2 / (expected * (1 - share))).sum())
    chance = float(chi2.sf(statistic, max(int(frequent.sum()) - 1, 1)))
    if frequent.sum() < 2 or chance >= ALPHA:
        message = f"{share:.2%} of impressions are in quarantine, the same share for all actions"
        return Finding("quarantine", "ok", message, share)
    worst = str(((removed - total * share) / np.sqrt(total * share + 1)).idxmax())
    message = f"{share:.2%} of impressions are in quarantine, but {removed[worst] / total[worst]:.0%} of {worst}'s"
    return Finding("quarantine", "critical", message, share)
