"""The statistical half of the policy's gate: what may be claimed about a challenger, whenever one looks.

A challenger passes when the lower bound of its lift (lift_bound.py, boundaries.py) clears the margin, no segment shows
harm, and neither conversions nor cost are traded away for the reward. The last two refuse on evidence of harm; they
ask for no proof of none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from components.evaluation.gate.boundaries import ANYTIME, Boundary, checkpoints, lower_bound
from components.evaluation.gate.lift_bound import (
    LiftRows,
    LiftSums,
    Moments,
    lift_rows,
    lift_sums,
    lower_lift,
    shown_rows,
)
from components.evaluation.logged_decisions import Covered
from components.evaluation.outcomes import Metric
from components.policies.ragged_rows import row_sums, spread

GUARDS = {"cvr": -1.0, "cost_per_click": 1.0, "negative_feedback": 1.0}  # metric: the direction of change that harms


@dataclass(frozen=True)
class GateEvidence:
    """What the gate rests on: plain numbers, so that a decision can be replayed from its record at any alpha.

    sums: of the lift, rewards scaled to [0, 1]. path: their moments at each checkpoint where a last look
    can be planned. harms: evidence of harm, in words; empty: none.
    """

    sums: LiftSums
    path: tuple[Moments, ...]
    reward_scale: float
    impressions: int
    harms: tuple[str, ...]

    def lower_bound(self, alpha: float) -> float:
        """Of the lift in reward per impression: holds at every look, but for a chance of `alpha`."""
        return self.sums.lower(alpha) * self.reward_scale

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self) | {"path": [asdict(moments) for moments in self.path], "harms": list(self.harms)}

    @classmethod
    def from_dict(cls, record: Mapping) -> "GateEvidence":
        """The evidence of a record that `to_dict` gave."""
        return cls(
            LiftSums.from_dict(record["sums"]),
            tuple(Moments(**moments) for moments in record["path"]),
            record["reward_scale"],
            record["impressions"],
            tuple(record["harms"]),
        )


def gate_evidence(
    covered: Covered,
    metrics: tuple[Metric, ...],
    segment_bound: float,
    guard_bound: float,
    harm_alpha: float = 0.05,
) -> GateEvidence:
    """Evidence about `covered.target` against `covered.baseline`, on rows in order of time.

    The rows may be of several logging policies, each with its own propensities. The target may sum to less than 1 per
    impression: what is missing is charged to the bound as if it earned the low end of the reward range.
    segment_bound: a segment is harmed when its lift is surely below -segment_bound (reward per impression).
    guard_bound: a guarded metric is harmed when its relative change is surely beyond that (a share).
    metrics: with intervals at the level 1 - harm_alpha / len(GUARDS).
    """
    log = covered.log
    *path, sums = lift_sums(
        lift_rows(log, covered.target, covered.baseline), np.append(checkpoints(log.n), log.n).astype(np.int64)
    )
    low, high = log.reward_range
    harms = _segment_harms(covered, segment_bound, harm_alpha) + _guard_harms(metrics, guard_bound, log.unit)
    return GateEvidence(sums, tuple(look.moments for look in path), high - low, log.n, harms)


def gate_reasons(
    evidence: GateEvidence, alpha: float, margin: float, boundary: Boundary = ANYTIME
) -> tuple[bool, tuple[str, ...]]:
    """Whether the evidence clears `margin` (reward per impression) at the ledger's `alpha`, and why."""
    if evidence.harms:
        return False, evidence.harms
    bound = lower_bound(evidence.sums, evidence.path, alpha, boundary)
    lower = bound.value * evidence.reward_scale
    if lower > margin:
        return True, (f"{bound.words} is {lower:+.5f}, above the margin of {margin:g}",)
    return False, (f"{bound.words} is {lower:+.5f}, not above the margin of {margin:g}",)


def _segment_harms(covered: Covered, bound: float, alpha: float) -> tuple[str, ...]:
    """Segments whose lift is surely below -bound: lower bounds of the baseline's lead, at alpha over their number."""
    log = covered.log
    if log.segment is None:
        return ()
    rows, scale = _baseline_leads(covered), log.reward_range[1] - log.reward_range[0]
    levels, harms = np.unique(log.segment), []
    for level in levels:
        inside = np.flatnonzero(log.segment == level)
        lead = lower_lift(rows.at(inside), alpha / len(levels), np.array([len(inside)]))[0] * scale
        if lead > bound:
            harms.append(f"segment {level} is harmed: its lift is at most {-lead:+.5f} (the bound is -{bound:g})")
    return tuple(harms)


def _baseline_leads(covered: Covered) -> LiftRows:
    """Rows for the lift of the baseline over the target.

    Mass that the target misses counts as if it earned what the baseline earns there: it is no evidence of harm.
    """
    log, baseline = covered.log, covered.baseline
    target = covered.target if log.logging is None else covered.target * (log.logging > 0)
    missing = np.clip(1.0 - row_sums(target, log.offsets), 0.0, 1.0)
    if baseline is None and log.logging is None:
        low, high = log.reward_range
        weight = log.weight(target) + missing
        return shown_rows(np.ones(log.n), weight, (log.reward - low) / (high - low), partial=True)
    policy = log.logging if baseline is None else baseline
    return lift_rows(log, policy, target + spread(missing, log.offsets) * policy)


def _guard_harms(metrics: tuple[Metric, ...], bound: float, unit: str) -> tuple[str, ...]:
    harms = []
    for metric in metrics:
        if metric.name not in GUARDS or metric.change is None:
            continue
        surely = metric.change.ci_low if GUARDS[metric.name] > 0 else -metric.change.ci_high
        if surely > bound:
            change = f"{metric.change.value:+.0%} [{metric.change.ci_low:+.0%}, {metric.change.ci_high:+.0%}]"
            harms.append(f"{metric.name} changes by {change}: {unit} are bought with it (the bound is {bound:.0%})")
    return tuple(harms)
