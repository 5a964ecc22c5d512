"""Metrics beyond the judged reward: conversions, revenue, cost and negative feedback under a policy.

Each is a ratio of two sums over impressions. Under a policy both sums are weighted by the importance weights, so the
ratio is self-normalised. Target and baseline are compared on the same rows and resamples.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.intervals.resampling import Interval, Ratios, bootstrap, relative
from components.evaluation.logged_decisions import LoggedDecisions

NEGATIVE_FEEDBACK = ("hide", "report")
MIN_EVENTS = 30  # in numerator and denominator; a metric with fewer is not shown


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of each impression, float64 [n]; None if the log does not have them."""

    click: np.ndarray
    final: np.ndarray  # bool [n]: whether conversions at that time are final
    conversion: np.ndarray | None = None
    revenue: np.ndarray | None = None
    cost: np.ndarray | None = None
    negative: np.ndarray | None = None


@dataclass(frozen=True)
class Metric:
    """One metric under both policies and its relative change; None if it has no interval, and `note` says why."""

    name: str
    target: Interval | None
    baseline: Interval | None
    change: Interval | None
    note: str

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        intervals = {"target": self.target, "baseline": self.baseline, "change": self.change}
        values = {key: interval and interval.to_dict() for key, interval in intervals.items()}
        return {"name": self.name, "note": self.note} | values


def outcomes_of(impressions: pd.DataFrame) -> Outcomes:
    """The outcomes of the contract's `impressions`, in their order.

    A conversion that is not final yet is null, on clicked rows only. To leave out just those rows would bias the
    conversion rate upwards, so all impressions from the first such row on are left out of conversion metrics.
    """
    pending = (impressions["click"] == 1) & impressions["conversion"].isna() if "conversion" in impressions else None
    final = np.ones(len(impressions), dtype=bool)
    if pending is not None and pending.any():
        final = (impressions["timestamp"] < impressions.loc[pending, "timestamp"].min()).to_numpy()
    negative = None
    if _has_values(impressions, "feedback"):
        negative = impressions["feedback"].isin(NEGATIVE_FEEDBACK).to_numpy(float)
    return Outcomes(
        click=impressions["click"].to_numpy(dtype=float),
        final=final,
        conversion=_column(impressions, "conversion"),
        revenue=_column(impressions, "revenue"),
        cost=_column(impressions, "cost"),
        negative=negative,
    )


def metrics(
    log: LoggedDecisions,
    outcomes: Outcomes,
    target: np.ndarray,
    baseline: np.ndarray | None,
    *,
    replicates: int,
    seed: int,
    level: float = 0.95,
) -> tuple[Metric, ...]:
    """Every metric that the log has columns for; policies float64 [n_pairs], `baseline` None: the logging policy."""
    weights = log.weight(target), np.ones(log.n) if baseline is None else log.weight(baseline)
    return tuple(
        _metric(definition, weights, log.cluster, replicates=replicates, seed=seed, level=level)
        for definition in _definitions(outcomes)
    )


@dataclass(frozen=True)
class _Definition:
    """One metric: numerator and denominator float64 [n], and the rows that count, bool [n]."""

    name: str
    numerator: np.ndarray
    denominator: np.ndarray
    rows: np.ndarray


def _definitions(outcomes: Outcomes) -> list[_Definition]:
    """The definition of every metric that there are columns for."""
    click, conversion, revenue, cost = outcomes.click, outcomes.conversion, outcomes.revenue, outcomes.cost
    ones, all_rows, final = np.ones_like(click), np.ones(len(click), dtype=bool), outcomes.final
    definitions = []
    if conversion is not None:
        definitions.append(_Definition("cvr", conversion, click, final))
    if revenue is not None:
        definitions.append(_Definition("revenue_per_impression", revenue, ones, final))
    if cost is not None and conversion is not None:
        definitions.append(_Definition("cost_per_conversion", cost, conversion, final))
    if cost is not None and revenue is not None:
        definitions.append(_Definition("roi", revenue - cost, cost, final))
    if cost is not None:
        definitions.append(_Definition("cost_per_click", cost, click, all_rows))
    if outcomes.negative is not None:
        definitions.append(_Definition("negative_feedback", outcomes.negative, ones, all_rows))
    return definitions


def _metric(
    definition: _Definition,
    weights: tuple[np.ndarray, np.ndarray],
    cluster: np.ndarray,
    *,
    replicates: int,
    seed: int,
    level: float,
) -> Metric:
    """The metric under the weights [n] of target and baseline."""
    name, rows = definition.name, definition.rows
    left_out = int((~rows).sum())
    note = f"{left_out:,} impressions whose conversions are not final are left out" if left_out else "all impressions"
    numerator, denominator = np.where(rows, definition.numerator, 0.0), np.where(rows, definition.denominator, 0.0)
    events = min(int((numerator != 0).sum()), int((denominator != 0).sum()))
    if events < MIN_EVENTS:
        return Metric(name, None, None, None, f"only {events} events; at least {MIN_EVENTS} are needed; {note}")
    target, baseline = (Ratios(((1.0, weight * numerator, weight * denominator),)) for weight in weights)
    intervals = bootstrap({"target": target, "baseline": baseline}, cluster, replicates, seed, level=level)
    change = relative(target, baseline, cluster, replicates, seed, level=level)
    return Metric(name, intervals.get("target"), intervals.get("baseline"), change, note)


def _has_values(impressions: pd.DataFrame, name: str) -> bool:
    return name in impressions and bool(impressions[name].notna().any())


def _column(impressions: pd.DataFrame, name: str) -> np.ndarray | None:
    if not _has_values(impressions, name):
        return None
    return np.nan_to_num(impressions[name].to_numpy(dtype=float, na_value=np.nan), nan=0.0)
