"""The full assessment of a policy on one log: estimate, other rewards, lifts by segment and element, traffic, gate."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.breakdowns import LevelEffect, element_effects, segment_lifts
from components.evaluation.evaluate import evaluate
from components.evaluation.gate.evidence import GUARDS, GateEvidence, gate_evidence
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.log_checks.row_checks import check_rows, log_rows
from components.evaluation.log_checks.traffic import Traffic, traffic_of
from components.evaluation.logged_decisions import LoggedDecisions, cover
from components.evaluation.outcomes import Metric, metrics, outcomes_of
from components.evaluation.result import Evaluation
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig

ELEMENTS = ("template", "headline", "call_to_action", "palette", "origin")
MAX_LEVELS = 30  # an element with more levels, such as a headline per creative, has too few rows per level


@dataclass(frozen=True)
class Assessment:
    """An evaluation and the tables that the report shows beside it."""

    evaluation: Evaluation
    metrics: tuple[Metric, ...]
    segments: tuple[LevelEffect, ...]
    elements: tuple[LevelEffect, ...]
    traffic: Traffic

    def to_dict(self) -> dict[str, object]:
        """The assessment as JSON values."""
        sample_sizes = self.evaluation.sample_sizes
        return {
            "evaluation": self.evaluation.to_dict(),
            "sample_sizes": None if sample_sizes is None else sample_sizes.to_dict(),
            "traffic": self.traffic.to_dict(),
            "metrics": [metric.to_dict() for metric in self.metrics],
            "segments": [asdict(effect) for effect in self.segments],
            "elements": [asdict(effect) for effect in self.elements],
        }


def assess(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    config: EvaluationConfig,
    *,
    impressions: pd.DataFrame,
    creatives: pd.DataFrame,
    quarantine: pd.DataFrame | None = None,
    findings: tuple[Finding, ...] = (),
) -> Assessment:
    """The assessment of `target` against `baseline` (float64 [n_pairs] each; None: the logging policy).

    impressions: the log's rows with the contract's outcomes. creatives: the contract's table. quarantine: the
    impressions that validation removed. findings: of checks made elsewhere, such as leakage. The log's rows must be in
    order of time. Shoppers who look like bots are reported and stay in.
    """
    rows = _rows_of(log, impressions)
    removed = None if quarantine is None or quarantine.empty else quarantine
    evaluation = evaluate(log, target, config, baseline, findings=check_rows(log_rows(rows, removed)) + findings)
    traffic = traffic_of(rows, log.reward)
    if evaluation.card is None:
        return Assessment(evaluation, (), (), (), traffic)
    covered = cover(log, target, baseline)
    policies = covered.target, covered.baseline
    outcomes = outcomes_of(rows.loc[list(covered.log.impression)])
    return Assessment(
        evaluation=evaluation,
        metrics=metrics(covered.log, outcomes, *policies, replicates=config.bootstrap, seed=config.seed),
        segments=segment_lifts(covered.log, *policies, config.bootstrap, config.seed),
        elements=tuple(_elements(covered.log, creatives, config)),
        traffic=traffic,
    )


def pooled_gate_evidence(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    config: EvaluationConfig,
    *,
    unlogged_share: np.ndarray,
    impressions: pd.DataFrame,
) -> GateEvidence:
    """The gate's evidence on `log`, which may hold the rows of several logging policies.

    unlogged_share: float64 [n] in [0, 1], the share of each impression that goes to creatives absent from every log;
    the bound counts it as if it earned nothing. impressions: as for `assess`.
    """
    covered = cover(log, target, baseline)
    guards = metrics(
        covered.log,
        outcomes_of(_rows_of(covered.log, impressions)),
        covered.target,
        covered.baseline,
        replicates=config.bootstrap,
        seed=config.seed,
        level=1 - 0.05 / len(GUARDS),
    )
    unlogged = pd.Series(unlogged_share, index=log.impression).loc[list(covered.log.impression)].to_numpy()
    reduced = replace(covered, target=covered.target * (1 - spread(unlogged, covered.log.offsets)))
    return gate_evidence(reduced, guards, config.segment_bound, config.guard_bound)


def _rows_of(log: LoggedDecisions, impressions: pd.DataFrame) -> pd.DataFrame:
    """The rows of the log's impressions, in the log's order."""
    return impressions.set_index("impression_id", drop=False).loc[list(log.impression)]


def _elements(log: LoggedDecisions, creatives: pd.DataFrame, config: EvaluationConfig) -> Iterator[LevelEffect]:
    actions = creatives.set_index("creative_id").reindex(list(log.action_names))
    for element in ELEMENTS:
        if element in actions and 1 < actions[element].nunique() <= MAX_LEVELS:
            level = actions[element].astype(object).where(actions[element].notna(), "").to_numpy(dtype=object)
            yield from element_effects(log, element, level, config.bootstrap, config.seed)
