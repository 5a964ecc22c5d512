"""Everything an evaluation can say of one log: the estimate, other rewards, who gains, what earns it, and the gate."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.breakdowns import Part, element_effects, segment_lifts
from components.evaluation.evaluate import evaluate
from components.evaluation.gate.evidence import GUARDS, GateEvidence, gate_evidence
from components.evaluation.log_checks.integrity import Finding
from components.evaluation.log_checks.row_checks import check_trail, trail_of
from components.evaluation.log_checks.traffic import Traffic, traffic_of
from components.evaluation.logged_decisions import LoggedDecisions, cover
from components.evaluation.outcomes import Metric, metrics, outcomes_of
from components.evaluation.result import Evaluation
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig

ELEMENTS = ("template", "headline", "call_to_action", "palette", "origin")
MOST_LEVELS = 30  # an element with more levels (a headline per creative, say) teaches nothing per level


@dataclass(frozen=True)
class Assessment:
    """An evaluation with all that stands beside it."""

    evaluation: Evaluation
    metrics: tuple[Metric, ...]
    segments: tuple[Part, ...]
    elements: tuple[Part, ...]
    traffic: Traffic

    def to_dict(self) -> dict[str, object]:
        """All of it as JSON values."""
        return {
            "evaluation": self.evaluation.to_dict(),
            "outlook": None if self.evaluation.outlook is None else self.evaluation.outlook.to_dict(),
            "traffic": self.traffic.to_dict(),
            "metrics": [metric.to_dict() for metric in self.metrics],
            "segments": [asdict(part) for part in self.segments],
            "elements": [asdict(part) for part in self.elements],
        }


def assess(
    log: LoggedDecisions,
    target: np.ndarray,
    config: EvaluationConfig,
    baseline: np.ndarray | None,
    impressions: pd.DataFrame,
    creatives: pd.DataFrame,
    quarantine: pd.DataFrame | None = None,
    findings: tuple[Finding, ...] = (),
) -> Assessment:
    """Assess `target` against `baseline` (float64 [n_pairs]; None: the logging policy).

    impressions, creatives: tables of the contract that hold the log's ids; quarantine: the impressions that validation
    took away. findings: of checks made elsewhere, such as leakage. The log's rows must be in order of time. Bot-like
    shoppers are flagged and kept.
    """
    own = impressions.set_index("impression_id", drop=False).loc[list(log.impression)]
    lost = None if quarantine is None or quarantine.empty else quarantine
    evaluation = evaluate(log, target, config, baseline, check_trail(trail_of(own, lost)) + findings)
    if evaluation.card is None:
        return Assessment(evaluation, (), (), (), traffic_of(own, log.reward))
    covered = cover(log, target, baseline)
    kept = own.loc[list(covered.log.impression)]
    outcomes = outcomes_of(kept)
    return Assessment(
        evaluation=evaluation,
        metrics=metrics(covered.log, outcomes, covered.target, covered.baseline, config.bootstrap, config.seed),
        segments=segment_lifts(covered.log, covered.target, covered.baseline, config.bootstrap, config.seed),
        elements=_elements(covered.log, creatives, config),
        traffic=traffic_of(own, log.reward),
    )


def gate_on(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    charge: np.ndarray,
    impressions: pd.DataFrame,
    config: EvaluationConfig,
) -> GateEvidence:
    """The gate's evidence on `log`, which may hold the rows of several logging policies.

    charge: float64 [n] in [0, 1], the share of each impression that goes to creatives that no log speaks of; the bound
    takes it for earning nothing.
    """
    level = 1 - 0.05 / len(GUARDS)
    covered = cover(log, target, baseline)
    own = impressions.set_index("impression_id", drop=False).loc[list(covered.log.impression)]
    guarded = metrics(
        covered.log, outcomes_of(own), covered.target, covered.baseline, config.bootstrap, config.seed, level
    )
    kept = pd.Series(charge, index=log.impression).loc[list(covered.log.impression)].to_numpy()
    charged = replace(covered, target=covered.target * (1 - spread(kept, covered.log.offsets)))
    return gate_evidence(charged, guarded, config.segment_bound, config.guard_bound)


def _elements(log: LoggedDecisions, creatives: pd.DataFrame, config: EvaluationConfig) -> tuple[Part, ...]:
    own = creatives.set_index("creative_id").reindex(list(log.action_names))
    found: tuple[Part, ...] = ()
    for element in ELEMENTS:
        if element in own and 1 < own[element].nunique() <= MOST_LEVELS:
            level = own[element].astype(object).where(own[element].notna(), "").to_numpy(dtype=object)
            found += element_effects(log, element, level, config.bootstrap, config.seed)
    return found
