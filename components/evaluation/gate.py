"""The statistical half of the policy's gate: what may be claimed about a challenger, whenever one looks.

A challenger passes when the anytime-valid lower bound of its lift clears the margin, no segment shows harm, and neither
conversions nor cost are traded away for clicks. The last two refuse on evidence of harm; they ask for no proof of none.
"""

from dataclasses import asdict, dataclass

import numpy as np

from components.evaluation.log import Covered, LoggedDecisions
from components.evaluation.outcomes import Metric
from components.evaluation.sequences import Sums, lift_sums, lower_from, upper_lift
from components.policy.ragged import row_maxima

GUARDS = {"cvr": -1.0, "cost_per_click": 1.0, "negative_feedback": 1.0}  # metric: the direction of change that harms


@dataclass(frozen=True)
class GateEvidence:
    """What the gate rests on: plain numbers, so that a decision can be replayed from its record at any alpha."""

    sums: tuple[Sums, ...]  # of the lift, rewards scaled to [0, 1]
    reward_scale: float
    impressions: int
    harms: tuple[str, ...]  # evidence of harm, in words; empty: none

    def lower_bound(self, alpha: float) -> float:
        """Of the lift in reward per impression: holds at every look, but for a chance of `alpha`."""
        return lower_from(self.sums, alpha) * self.reward_scale

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self) | {"sums": [asdict(it) for it in self.sums], "harms": list(self.harms)}

    @classmethod
    def from_dict(cls, record: dict) -> "GateEvidence":
        """The evidence of a record that `to_dict` gave."""
        sums = tuple(Sums(**it) for it in record["sums"])
        return cls(sums, record["reward_scale"], record["impressions"], tuple(record["harms"]))


def gate_evidence(
    covered: Covered,
    metrics: tuple[Metric, ...],
    segment_bound: float,
    guard_bound: float,
    harm_alpha: float = 0.05,
) -> GateEvidence:
    """Evidence about `covered.target` against `covered.baseline`, on rows in order of time.

    segment_bound: a segment is harmed when its lift is surely below -segment_bound (reward per impression).
    guard_bound: a guarded metric is harmed when its relative change is surely beyond that (a share).
    metrics: with intervals at the level 1 - harm_alpha / len(GUARDS).
    """
    log = covered.log
    ahead, behind, most_behind, most_ahead = _weights(covered)
    (sums,) = lift_sums(ahead, behind, _unit(log), most_behind, np.array([log.n]))
    low, high = log.reward_range
    harms = _segment_harms(covered, segment_bound, harm_alpha, most_ahead) + _guard_harms(metrics, guard_bound)
    return GateEvidence(sums, high - low, log.n, harms)


def gate_reasons(evidence: GateEvidence, alpha: float, margin: float) -> tuple[bool, tuple[str, ...]]:
    """Whether the evidence clears `margin` (reward per impression) at the ledger's `alpha`, and why."""
    if evidence.harms:
        return False, evidence.harms
    lower = evidence.lower_bound(alpha)
    bound = f"the anytime-valid lower bound of the lift is {lower:+.5f} (error probability {alpha:.2g})"
    if lower > margin:
        return True, (f"{bound}, above the margin of {margin:g}",)
    return False, (f"{bound}, not above the margin of {margin:g}",)


def _weights(covered: Covered) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Weights of target and baseline [n], and the largest that each can have."""
    log = covered.log
    ahead = log.weight(covered.target)
    behind = np.ones(log.n) if covered.baseline is None else log.weight(covered.baseline)
    most_behind = 1.0 if covered.baseline is None else _largest(log, covered.baseline)
    return ahead, behind, most_behind, _largest(log, covered.target)


def _largest(log: LoggedDecisions, policy: np.ndarray) -> float:
    """Over all candidates where their propensities are known, else over the shown."""
    if log.logging is None:
        return max(1.0, float(log.weight(policy).max()))
    ratio = np.divide(policy, log.logging, out=np.zeros_like(policy), where=log.logging > 0)
    return max(1.0, float(row_maxima(ratio, log.offsets).max()))


def _unit(log: LoggedDecisions) -> np.ndarray:
    low, high = log.reward_range
    return (log.reward - low) / (high - low)


def _segment_harms(covered: Covered, bound: float, alpha: float, most: float) -> tuple[str, ...]:
    """Segments whose lift is surely below -bound: upper bounds at alpha over their number."""
    log = covered.log
    if log.segment is None:
        return ()
    ahead, behind, _, _ = _weights(covered)
    reward, scale = _unit(log), log.reward_range[1] - log.reward_range[0]
    levels, harms = np.unique(log.segment), []
    for level in levels:
        inside = log.segment == level
        last = np.array([int(inside.sum())])
        upper = upper_lift(ahead[inside], behind[inside], reward[inside], most, alpha / len(levels), last)[0] * scale
        if upper < -bound:
            harms.append(f"segment {level} is harmed: its lift is at most {upper:+.5f} (the bound is -{bound:g})")
    return tuple(harms)


def _guard_harms(metrics: tuple[Metric, ...], bound: float) -> tuple[str, ...]:
    harms = []
    for metric in metrics:
        if metric.name not in GUARDS or metric.change is None:
            continue
        surely = metric.change.ci_low if GUARDS[metric.name] > 0 else -metric.change.ci_high
        if surely > bound:
            change = f"{metric.change.value:+.0%} [{metric.change.ci_low:+.0%}, {metric.change.ci_high:+.0%}]"
            harms.append(f"{metric.name} changes by {change}: clicks are bought with it (the bound is {bound:.0%})")
    return tuple(harms)
