"""Everything an evaluation can say of one log: the estimate, other rewards, who gains, what earns it, and the gate."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from components.config import EvaluationConfig
from components.evaluation.evaluate import evaluate
from components.evaluation.gate import GUARDS, GateEvidence, gate_evidence
from components.evaluation.log import LoggedDecisions, cover, pairs_of
from components.evaluation.outcomes import Metric, metrics, outcomes_of
from components.evaluation.parts import Part, element_effects, segment_lifts
from components.evaluation.result import Evaluation
from components.evaluation.traffic import Traffic, traffic_of
from components.evaluation.trail import bot_like, check_trail, trail_of

ELEMENTS = ("template", "headline", "call_to_action", "palette", "origin")
MOST_LEVELS = 30  # an element with more levels (a headline per creative, say) teaches nothing per level


@dataclass(frozen=True)
class Assessment:
    """An evaluation with all that stands beside it."""

    evaluation: Evaluation
    metrics: tuple[Metric, ...]
    segments: tuple[Part, ...]
    elements: tuple[Part, ...]
    gate: GateEvidence | None  # None where the log cannot carry any number
    traffic: Traffic

    def to_dict(self) -> dict[str, object]:
        """All of it as JSON values."""
        return {
            "evaluation": self.evaluation.to_dict(),
            "gate": None if self.gate is None else self.gate.to_dict(),
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
) -> Assessment:
    """Assess `target` against `baseline` (float64 [n_pairs]; None: the logging policy).

    impressions, creatives: tables of the contract that hold the log's ids; quarantine: the impressions that validation
    took away. The log's rows must be in order of time. Bot-like shoppers are flagged and kept, unless
    `config.exclude_bots` says otherwise.
    """
    own = impressions.set_index("impression_id", drop=False).loc[list(log.impression)]
    if config.exclude_bots:
        people = np.flatnonzero(~bot_like(trail_of(own)))
        pair = pairs_of(log.offsets, people)
        log, target, own = log.rows(people), target[pair], own.iloc[people]
        baseline = None if baseline is None else baseline[pair]
    lost = None if quarantine is None or quarantine.empty else quarantine
    evaluation = evaluate(log, target, config, baseline, check_trail(trail_of(own, lost)))
    if evaluation.card is None:
        return Assessment(evaluation, (), (), (), None, traffic_of(own))
    covered = cover(log, target, baseline)
    kept = own.loc[list(covered.log.impression)]
    outcomes = outcomes_of(kept)
    shown = metrics(covered.log, outcomes, covered.target, covered.baseline, config.bootstrap, config.seed)
    guarded = metrics(
        covered.log, outcomes, covered.target, covered.baseline, config.bootstrap, config.seed, 1 - 0.05 / len(GUARDS)
    )
    return Assessment(
        evaluation=evaluation,
        metrics=shown,
        segments=segment_lifts(covered.log, covered.target, covered.baseline, config.bootstrap, config.seed),
        elements=_elements(covered.log, creatives, config),
        gate=gate_evidence(covered, guarded, config.segment_bound, config.guard_bound),
        traffic=traffic_of(own),
    )


def _elements(log: LoggedDecisions, creatives: pd.DataFrame, config: EvaluationConfig) -> tuple[Part, ...]:
    own = creatives.set_index("creative_id").reindex(list(log.action_names))
    found: tuple[Part, ...] = ()
    for element in ELEMENTS:
        if element in own and 1 < own[element].nunique() <= MOST_LEVELS:
            level = own[element].astype(object).where(own[element].notna(), "").to_numpy(dtype=object)
            found += element_effects(log, element, level, config.bootstrap, config.seed)
    return found
