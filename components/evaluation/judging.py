"""The judgement of one form of a policy: an assessment per logging policy, and the gate's evidence on all rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.assess import Assessment, assess, pooled_gate_evidence
from components.evaluation.gate.evidence import GateEvidence
from components.evaluation.held_out import HeldOut
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.log_checks.row_checks import bot_like, log_rows
from components.evaluation.rewards import Reward
from components.evaluation.split_by_policy import pooled_log, split_logs
from components.policies.policy_package import PolicyPackage
from components.settings.sections import EvaluationConfig

CRITICAL = "critical"
Truth = Callable[[pd.DataFrame], np.ndarray]  # pairs (impression_id, creative_id) -> float64 [n_pairs]


@dataclass(frozen=True)
class JudgingTables:
    """What a judgement reads beside the judged rows.

    reward: what the policy is judged by. creatives: feature rows. contract_creatives: the contract's table.
    quarantined: impressions of the judged time that validation removed. findings: of checks of all rows together.
    truth: the true mean reward of pairs, if the simulator knows it.
    """

    reward: Reward
    creatives: pd.DataFrame
    contract_creatives: pd.DataFrame
    quarantined: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    truth: Truth | None = None


@dataclass(frozen=True)
class Judgement:
    """assessments: by logging policy, the largest log first. gate: None if no number may be given.

    truths: by logging policy, what `PolicyLog.values` gives; None if the truth is unknown. For the report alone.
    """

    assessments: dict[str, Assessment]
    gate: GateEvidence | None
    truths: dict[str, dict[str, float] | None]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "logs": [{"logging_policy": name, **assessed.to_dict()} for name, assessed in self.assessments.items()],
            "gate": None if self.gate is None else self.gate.to_dict(),
            "critical_findings": list(self.critical_findings()),
        }

    def critical_findings(self) -> tuple[str, ...]:
        """Critical findings of every log, in words; a single one blocks the gate, because its bound uses all logs."""
        return tuple(
            f"log of {name}: {finding.message}"
            for name, assessed in self.assessments.items()
            for finding in assessed.evaluation.findings
            if finding.severity == CRITICAL
        )


def judge_forms(
    policy: PolicyPackage, rows: HeldOut, config: EvaluationConfig, tables: JudgingTables
) -> dict[str, Judgement]:
    """The judgement of each form of `policy` on `rows`, by the form's name; each form acts as a server applies it."""
    judgements = {}
    for form in policy.parameters.forms:
        target, unlogged_share = policy.shown_and_unlogged(form, rows.impressions, rows.pairs, rows.offsets)
        judgements[form] = judge(rows, target, unlogged_share, config, tables)
    return judgements


def judge(
    rows: HeldOut, target: np.ndarray, unlogged_share: np.ndarray, config: EvaluationConfig, tables: JudgingTables
) -> Judgement:
    """The judgement of `target` (float64 [n_pairs]) on `rows`, whose rewards are final.

    unlogged_share: float64 [n], see `assess.pooled_gate_evidence`.
    """
    assessments, truths = {}, {}
    for log in split_logs(rows, tables.creatives, target, tables.reward):
        name = log.logging_policy
        assessments[name] = assess(
            log.log,
            log.target,
            log.baseline,
            config,
            impressions=log.impressions,
            creatives=tables.contract_creatives,
            quarantine=tables.quarantined[tables.quarantined["logging_policy"] == name],
            findings=tables.findings,
        )
        truths[name] = None if tables.truth is None else log.values(tables.truth(log.log.pairs()))
    judgement = Judgement(assessments, None, truths)
    largest = next(iter(assessments.values()), None)
    if largest is None or largest.evaluation.card is None or judgement.critical_findings():
        return judgement
    pooled = pooled_log(rows, tables.creatives, tables.reward)
    gate = pooled_gate_evidence(
        pooled, target, rows.baseline, config, unlogged_share=unlogged_share, impressions=rows.impressions
    )
    return replace(judgement, gate=gate)


def bot_like_shoppers(impressions: pd.DataFrame) -> frozenset[str]:
    """Shoppers who look like bots on these impressions.

    Pass impressions from before the judged rows: a choice by judged clicks would bias the estimate.
    """
    return frozenset(impressions.loc[bot_like(log_rows(impressions)), "shopper_id"])
