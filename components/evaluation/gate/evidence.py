"""The statistical part of the policy's gate: the evidence about a challenger, valid at every look.

A challenger passes if the lower bound of its lift (lift_bound.py, boundaries.py) is above the margin, no segment is
harmed, and no guarded metric gets worse. The last two refuse only if there is evidence of harm.
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
    shown_only_rows,
)
from components.evaluation.logged_decisions import Covered
from components.evaluation.outcomes import Metric
from components.policies.ragged_rows import row_sums, spread

GUARDS = {"cvr": -1.0, "cost_per_click": 1.0, "negative_feedback": 1.0}  # metric: sign of a harmful change


@dataclass(frozen=True)
class GateEvidence:
    """The numbers that the gate uses; with them a decision can be replayed from its record at any alpha.

    sums: of the lift, rewards scaled to [0, 1]. path: their moments at each checkpoint for which a last look can be
    planned. reward_scale: width of the reward range. harms: evidence of harm, in words; empty if there is none.
    """

    sums: LiftSums
    path: tuple[Moments, ...]
    reward_scale: float
    impressions: int
    harms: tuple[str, ...]

    def lower_bound(self, alpha: float) -> float:
        """The lower bound of the lift in reward per impression; it holds at all looks with probability 1 - alpha."""
        return self.sums.lower(alpha) * self.reward_scale

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self) | {"path": [asdict(moments) for moments in self.path], "harms": list(self.harms)}

    @classmethod
    def from_dict(cls, record: Mapping) -> "GateEvidence":
        """The evidence from the record that `to_dict` made."""
        return cls(
            LiftSums.from_dict(record["sums"]),
            tuple(Moments.from_dict(moments) for moments in record["path"]),
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
    """The evidence about `covered.target` against `covered.baseline`, on rows in order of time.

    The rows may be of several logging policies, each with its own propensities. The target may sum to less than 1 per
    impression; the bound counts the missing mass as if it earned the low end of the reward range.
    segment_bound: a segment is harmed if its lift is significantly below -segment_bound (reward per impression).
    guard_bound: a guarded metric is harmed if its relative change is significantly beyond that (a share).
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
    """Whether the lower bound at `alpha` is above `margin` (reward per impression), and why."""
    if evidence.harms:
        return False, evidence.harms
    bound = lower_bound(evidence.sums, evidence.path, alpha, boundary)
    lower = bound.value * evidence.reward_scale
    if lower > margin:
        return True, (f"{bound.description} is {lower:+.5f}, above the margin of {margin:g}",)
    return False, (f"{bound.description} is {lower:+.5f}, not above the margin of {margin:g}",)


def _segment_harms(covered: Covered, bound: float, alpha: float) -> tuple[str, ...]:
    """Segments whose lift is significantly below -bound, in words.

    Each is tested by the lower bound of the baseline's lift over the target, at alpha over the number of segments.
    """
    log = covered.log
    if log.segment is None:
        return ()
    rows, scale = _reversed_lift_rows(covered), log.reward_range[1] - log.reward_range[0]
    levels, harms = np.unique(log.segment), []
    for level in levels:
        inside = np.flatnonzero(log.segment == level)
        loss = lower_lift(rows.at(inside), alpha / len(levels), np.array([len(inside)]))[0] * scale
        if loss > bound:
            harms.append(f"segment {level} is harmed: its lift is at most {-loss:+.5f} (the bound is -{bound:g})")
    return tuple(harms)


def _reversed_lift_rows(covered: Covered) -> LiftRows:
    """Rows for the lift of the baseline over the target.

    Mass that the target lacks counts as if it earned what the baseline earns there, so it is no evidence of harm.
    """
    log, baseline = covered.log, covered.baseline
    target = covered.target if log.logging is None else covered.target * (log.logging > 0)
    missing = np.clip(1.0 - row_sums(target, log.offsets), 0.0, 1.0)
    if baseline is None and log.logging is None:
        low, high = log.reward_range
        weight = log.weight(target) + missing
        return shown_only_rows(np.ones(log.n), weight, (log.reward - low) / (high - low), partial=True)
    policy = log.logging if baseline is None else baseline
    return lift_rows(log, policy, target + spread(missing, log.offsets) * policy)


def _guard_harms(metrics: tuple[Metric, ...], bound: float, unit: str) -> tuple[str, ...]:
    harms = []
    for metric in metrics:
        if metric.name not in GUARDS or metric.change is None:
            continue
        least_harm = metric.change.ci_low if GUARDS[metric.name] > 0 else -metric.change.ci_high
        if least_harm > bound:
            change = f"{metric.change.value:+.0%} [{metric.change.ci_low:+.0%}, {metric.change.ci_high:+.0%}]"
            harms.append(f"{metric.name} changes by {change} to gain {unit} (the bound is {bound:.0%})")
    return tuple(harms)
