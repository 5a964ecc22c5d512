"""The plan of an online A/B test of a policy that passed the gate: assignment, size, duration and guardrails.

Size: two mean rewards p and q = p (1 + d) are distinguished at LEVEL (two-sided) with probability POWER by

    n = D ( z_(1 - LEVEL / 2) sqrt(2 m (s - m)) + z_POWER sqrt(p (s - p) + q (s - q)) )^2 / (q - p)^2               (1)

impressions in each arm, m = (p + q) / 2, D the design effect of assigning shoppers, s the mean square of rewards over
their mean. For rewards of 0 or 1, s is 1, and (1) is equation 4.14 of Fleiss, Levin & Paik 2003. For other rewards,
p (s - p) is the variance if the number of rewarded impressions changes and their rewards do not.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from typing import Any

from components.evaluation.rewards import Reward

LEVEL = 0.05
POWER = 0.8
TREATED = 0.5  # share of the shoppers
WEEK = 7  # days: arms are compared over whole weeks, because weekdays differ
EXAMPLES = ("shopper-1", "shopper-2", "shopper-3")


@dataclass(frozen=True)
class Size:
    """The size that detects a relative lift: impressions in each arm, and days (whole weeks) at the log's traffic."""

    relative_lift: float
    impressions_per_arm: int
    days: int


@dataclass(frozen=True)
class Guardrail:
    """A reason to end the experiment early: `metric` is worse than `bound` (relative; for segments, in the reward)."""

    metric: str
    harmful: str  # up or down
    bound: float


@dataclass(frozen=True)
class ExperimentPlan:
    """An A/B test of `treatment` against `control` (digests of policies; control None: the logging policy).

    planned: for the estimated lift. at_most: for the lower end of its interval; None if that is not above 0.
    settling_days: from the last impression until its conversions are final. mean_reward: of the control, in `unit` per
    impression.
    """

    salt: str
    treatment: str
    control: str | None
    mean_reward: float
    unit: str
    design_effect: float
    planned: Size
    at_most: Size | None
    settling_days: int
    guardrails: tuple[Guardrail, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the rule of assignment and examples to check an implementation against."""
        assignment = {
            "unit": "shopper_id",
            "rule": "treatment if the first 8 bytes of SHA-256(salt + ':' + shopper_id), big-endian, are below "
            "treated_share * 2^64, else control",
            "salt": self.salt,
            "treated_share": TREATED,
            "examples": {shopper: arm(self.salt, shopper) for shopper in EXAMPLES},
        }
        return {**asdict(self), "level": LEVEL, "power": POWER, "assignment": assignment}


def arm(salt: str, shopper_id: str) -> str:
    """`treatment` or `control`: always the same for one shopper and salt, independent between salts."""
    number = int.from_bytes(hashlib.sha256(f"{salt}:{shopper_id}".encode()).digest()[:8], "big")
    return "treatment" if number < TREATED * 2**64 else "control"


def plan_experiment(
    candidate: str, champion: str | None, record: Mapping[str, Any], reward: Reward, settling_days: int
) -> ExperimentPlan:
    """The plan for policy `candidate` against `champion` (package digests), from evaluation's record of its form."""
    assessed = record["logs"][0]  # the largest log
    lift, traffic = assessed["evaluation"]["lift"], assessed["traffic"]
    mean = assessed["evaluation"]["baseline"]["value"]  # of the control, which may differ from the log's mean
    return ExperimentPlan(
        salt=f"adloom-{candidate[:16]}",
        treatment=candidate,
        control=champion,
        mean_reward=mean,
        unit=reward.unit,
        design_effect=traffic["design_effect"],
        planned=_size(mean, lift["value"] / mean, traffic),
        at_most=_size(mean, lift["ci_low"] / mean, traffic) if lift["ci_low"] > 0 else None,
        settling_days=settling_days,
        guardrails=_guardrails(assessed, record["guards"], reward.unit),
    )


def impressions_per_arm(
    mean_reward: float, relative_lift: float, design_effect: float = 1.0, mean_square: float = 1.0
) -> int:
    """The impressions per arm by equation (1); mean_square: s, 1 for rewards of 0 or 1."""
    from scipy.stats import norm

    p, q, s = mean_reward, mean_reward * (1 + relative_lift), mean_square
    middle = (p + q) / 2
    at_level = norm.ppf(1 - LEVEL / 2) * sqrt(2 * middle * (s - middle))
    at_power = norm.ppf(POWER) * sqrt(p * (s - p) + q * (s - q))
    return ceil(design_effect * ((at_level + at_power) / (q - p)) ** 2)


def _size(mean_reward: float, relative_lift: float, traffic: Mapping[str, float]) -> Size:
    n = impressions_per_arm(mean_reward, relative_lift, traffic["design_effect"], traffic["mean_square"])
    return Size(relative_lift, n, WEEK * ceil(2 * n / traffic["impressions_per_day"] / WEEK))


def _guardrails(assessed: Mapping[str, Any], bounds: Mapping[str, float], unit: str) -> tuple[Guardrail, ...]:
    """The gate's guards for the metrics that the log has, and one for segments."""
    from components.evaluation.gate.evidence import GUARDS

    measured = {metric["name"] for metric in assessed["metrics"] if metric["change"] is not None}
    guardrails = [
        Guardrail(name, "up" if direction > 0 else "down", bounds["guard_bound"])
        for name, direction in GUARDS.items()
        if name in measured
    ]
    segments = [Guardrail(f"{unit} per impression of any segment", "down", bounds["segment_bound"])]
    return tuple(guardrails + (segments if assessed["segments"] else []))


def experiment_page(plan: ExperimentPlan) -> str:
    """The plan as Markdown."""
    size = plan.planned
    lines = [
        "## Experiment plan",
        "",
        "An online A/B test can confirm the estimate from the log:",
        "",
        f"- Who: each shopper by a hash of `{plan.salt}:<shopper_id>`, {TREATED:.0%} to the new policy, for good.",
        f"- Against: {'the logging policy' if plan.control is None else 'the champion, ' + plan.control[:16]}.",
        f"- How many: {size.impressions_per_arm:,} impressions in each arm detect a relative lift of "
        f"{size.relative_lift:+.1%} with probability {POWER:.0%} (two-sided, {LEVEL:.0%}; the control earns "
        f"{1000 * plan.mean_reward:,.2f} {plan.unit} per 1,000 impressions, design effect of shoppers "
        f"{plan.design_effect:.2f}).",
        f"- How long: {size.days} days at the log's traffic, in whole weeks; then {plan.settling_days} days until the "
        "last conversions are final.",
    ]
    if plan.at_most is not None:
        largest = plan.at_most
        lines.append(
            f"- At most: {largest.impressions_per_arm:,} in each arm, {largest.days} days, if the lift is only "
            f"{largest.relative_lift:+.1%}, the lower end of its interval."
        )
    lines += ["- Compare the arms once, at the end. Stop early only for a guardrail:", ""]
    lines += ["| guardrail | harmful when it goes | by significantly more than |", "|---|---|---|"]
    lines += [f"| {guardrail.metric} | {guardrail.harmful} | {_bound(guardrail)} |" for guardrail in plan.guardrails]
    return "\n".join(lines) + "\n"


def _bound(guardrail: Guardrail) -> str:
    return f"{guardrail.bound:g}" if "segment" in guardrail.metric else f"{guardrail.bound:.0%}"
