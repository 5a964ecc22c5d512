"""One form of a policy on the rows that judge it: an assessment per logging policy, and the gate's evidence of all."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.assess import Assessment, assess, gate_on
from components.evaluation.gate.evidence import GateEvidence
from components.evaluation.held_out import HeldOut
from components.evaluation.log_checks.integrity import Finding
from components.evaluation.log_checks.row_checks import bot_like, trail_of
from components.evaluation.rewards import Reward
from components.evaluation.split_by_policy import pooled_log, split_logs
from components.policies.policy_package import PolicyPackage
from components.settings.sections import EvaluationConfig

CRITICAL = "critical"
Truth = Callable[[pd.DataFrame], np.ndarray]  # pairs (impression_id, creative_id) -> float64 [n_pairs]


@dataclass(frozen=True)
class Judgement:
    """logs: by logging policy, the largest first. gate: None where no number can be told. truths: by logging policy,
    where the simulator's law is known, for the page alone."""

    logs: dict[str, Assessment]
    gate: GateEvidence | None
    truths: dict[str, dict[str, float] | None]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "logs": [{"logging_policy": name, **found.to_dict()} for name, found in self.logs.items()],
            "gate": None if self.gate is None else self.gate.to_dict(),
            "broken": list(self.broken()),
        }

    def broken(self) -> tuple[str, ...]:
        """Critical findings of any log, in words: its rows are in the gate's bound too."""
        return tuple(
            f"log of {name}: {finding.words}"
            for name, found in self.logs.items()
            for finding in found.evaluation.findings
            if finding.severity == CRITICAL
        )


def judge_forms(policy: PolicyPackage, rows: HeldOut, config: EvaluationConfig, **context) -> dict[str, Judgement]:
    """Each form of `policy` on `rows`, under its own name and as a server applies it; context: as of `judge`."""
    acts = {
        form: policy.shown_and_unlogged(form, rows.impressions, rows.pairs, rows.offsets)
        for form in policy.parameters.forms
    }
    return {form: judge(rows, target, charge, config, **context) for form, (target, charge) in acts.items()}


def judge(
    rows: HeldOut,
    target: np.ndarray,
    charge: np.ndarray,
    config: EvaluationConfig,
    *,
    reward: Reward,
    creatives: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    lost: pd.DataFrame,
    findings: tuple[Finding, ...] = (),
    truth: Truth | None = None,
) -> Judgement:
    """Judge `target` (float64 [n_pairs]) on `rows`, whose rewards are final; charge: float64 [n], see `gate_on`.

    creatives: feature rows. tables: the contract's impressions and creatives. lost: quarantined impressions of the
    rows' time. findings: of checks of all rows together. truth: the true mean reward of pairs, where it is known.
    """
    found, truths = {}, {}
    for part in split_logs(rows, creatives, target, reward):
        name = part.logging_policy
        own = lost[lost["logging_policy"] == name]
        found[name] = assess(
            part.log, part.target, config, part.baseline, tables["impressions"], tables["creatives"], own, findings
        )
        truths[name] = None if truth is None else part.values(truth(part.pairs))
    judgement = Judgement(found, None, truths)
    largest = next(iter(found.values()), None)
    if largest is None or largest.evaluation.card is None or judgement.broken():
        return judgement
    pooled = pooled_log(rows, creatives, reward)
    return replace(judgement, gate=gate_on(pooled, target, rows.baseline, charge, tables["impressions"], config))


def bots_before(impressions: pd.DataFrame) -> frozenset[str]:
    """Shoppers who look like bots on these impressions, all before the judged ones, so that no judged click chooses."""
    return frozenset(impressions.loc[bot_like(trail_of(impressions)), "shopper_id"])
