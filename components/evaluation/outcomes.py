"""Rewards beyond the click: what a policy would have changed in conversions, money and ill feeling.

Each is a ratio of two sums over impressions. Under a policy both sums are weighted by the importance weights, so that
the ratio is self-normalised; target and baseline are compared on the same rows and resamples.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.intervals.resampling import Interval, Ratios, bootstrap, relative
from components.evaluation.logged_decisions import LoggedDecisions

NEGATIVE = ("hide", "report")  # kinds of feedback
FEWEST_EVENTS = 30  # in the numerator, or the metric is not shown


@dataclass(frozen=True)
class Outcomes:
    """What came of each impression, float64 [n]; None where the log does not say."""

    click: np.ndarray
    final: np.ndarray  # bool [n]: whether conversions of that time are final
    conversion: np.ndarray | None = None
    revenue: np.ndarray | None = None
    cost: np.ndarray | None = None
    negative: np.ndarray | None = None


@dataclass(frozen=True)
class Metric:
    """One metric under both policies and its relative change; None where it cannot be told, and `note` says why."""

    name: str
    target: Interval | None
    baseline: Interval | None
    change: Interval | None
    note: str

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        parts = {"target": self.target, "baseline": self.baseline, "change": self.change}
        return {"name": self.name, "note": self.note} | {k: it and it.to_dict() for k, it in parts.items()}


def outcomes_of(impressions: pd.DataFrame) -> Outcomes:
    """The contract's `impressions` -> Outcomes, in their order.

    A conversion that is not final is null on clicked rows only, so leaving out just those would make clicks look
    better the less is known: all impressions from the first such time on are left out of conversion metrics instead.
    """
    open_ = (impressions["click"] == 1) & impressions["conversion"].isna() if "conversion" in impressions else None
    final = np.ones(len(impressions), dtype=bool)
    if open_ is not None and open_.any():
        final = (impressions["timestamp"] < impressions.loc[open_, "timestamp"].min()).to_numpy()
    feedback = impressions["feedback"].isin(NEGATIVE).to_numpy(float) if _said(impressions, "feedback") else None
    return Outcomes(
        click=impressions["click"].to_numpy(dtype=float),
        final=final,
        conversion=_column(impressions, "conversion"),
        revenue=_column(impressions, "revenue"),
        cost=_column(impressions, "cost"),
        negative=feedback,
    )


def metrics(
    log: LoggedDecisions,
    outcomes: Outcomes,
    target: np.ndarray,
    baseline: np.ndarray | None,
    replicates: int,
    seed: int,
    level: float = 0.95,
) -> tuple[Metric, ...]:
    """Every metric that the log allows; policies float64 [n_pairs], `baseline` None: the logging policy."""
    weights = log.weight(target), np.ones(log.n) if baseline is None else log.weight(baseline)
    return tuple(
        _metric(name, top, bottom, rows, weights, log.cluster, replicates, seed, level)
        for name, top, bottom, rows in _definitions(outcomes)
    )


def _definitions(it: Outcomes) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, numerator, denominator [n] and the rows that count [n] of every metric there are columns for."""
    ones, every = np.ones_like(it.click), np.ones(len(it.click), dtype=bool)
    defined = []
    if it.conversion is not None:
        defined.append(("cvr", it.conversion, it.click, it.final))
    if it.revenue is not None:
        defined.append(("revenue_per_impression", it.revenue, ones, it.final))
    if it.cost is not None and it.conversion is not None:
        defined.append(("cost_per_conversion", it.cost, it.conversion, it.final))
    if it.cost is not None and it.revenue is not None:
        defined.append(("roi", it.revenue - it.cost, it.cost, it.final))
    if it.cost is not None:
        defined.append(("cost_per_click", it.cost, it.click, every))
    if it.negative is not None:
        defined.append(("negative_feedback", it.negative, ones, every))
    return defined


def _metric(
    name: str,
    top: np.ndarray,
    bottom: np.ndarray,
    rows: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    cluster: np.ndarray,
    replicates: int,
    seed: int,
    level: float,
) -> Metric:
    left_out = int((~rows).sum())
    note = f"{left_out:,} impressions whose conversions are not final are left out" if left_out else "all impressions"
    top, bottom = np.where(rows, top, 0.0), np.where(rows, bottom, 0.0)
    events = min(int((top != 0).sum()), int((bottom != 0).sum()))
    if events < FEWEST_EVENTS:
        return Metric(name, None, None, None, f"only {events} events; at least {FEWEST_EVENTS} are needed; {note}")
    target, baseline = (Ratios(((1.0, weight * top, weight * bottom),)) for weight in weights)
    shown = bootstrap({"target": target, "baseline": baseline}, cluster, replicates, seed, level)
    change = relative(target, baseline, cluster, replicates, seed, level)
    return Metric(name, shown.get("target"), shown.get("baseline"), change, note)


def _said(impressions: pd.DataFrame, name: str) -> bool:
    return name in impressions and bool(impressions[name].notna().any())


def _column(impressions: pd.DataFrame, name: str) -> np.ndarray | None:
    if not _said(impressions, name):
        return None
    return np.nan_to_num(impressions[name].to_numpy(dtype=float, na_value=np.nan), nan=0.0)
