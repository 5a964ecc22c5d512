"""A log, a target policy and a baseline -> what the target would have earned, how sure that is, and a verdict."""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.abstention import doubts, hopeless, notices
from components.evaluation.estimators.analysis import Analysis, analyse
from components.evaluation.estimators.estimators import ESTIMATORS, UNBIASED, effective_sample_size
from components.evaluation.gate.sample_size import FIRST, outlook
from components.evaluation.intervals.finite_sample_bounds import finite_sample
from components.evaluation.intervals.resampling import Interval, bootstrap, difference, relative, value_of
from components.evaluation.log_checks.integrity import Finding, check_propensities, check_weights
from components.evaluation.logged_decisions import Covered, LoggedDecisions, cover
from components.evaluation.result import Estimate, Evaluation
from components.evaluation.trust import trust_card
from components.settings.sections import EvaluationConfig

NO_EMBEDDING = "{} has no value: it needs features of the actions (feature_* columns), and there are none"
ALL_ALIKE = "{} has no value: the features of the actions (feature_* columns) tell no two of one impression apart"

NOTHING_TO_GO_BY = (
    "how many impressions would settle it cannot be told, for nothing varies enough here: explore, so that every "
    "action is shown with a known probability (5 % at random is a beginning), until {} impressions were rewarded"
)
NOTHING_TO_PROVE = "no number of impressions settles this: both policies choose alike, so there is no lift to prove"
MEND_FIRST = "no number of impressions settles this: what the log says of itself is wrong, and has to be mended first"
FATAL = "propensity_range"  # the finding after which weights cannot even be computed
NO_DIFFERENCE = Interval(0.0, 0.0, 0.0)  # of two policies that choose alike: nothing varies, so nothing is uncertain


def evaluate(
    log: LoggedDecisions,
    target: np.ndarray,
    config: EvaluationConfig,
    baseline: np.ndarray | None = None,
    findings: tuple[Finding, ...] = (),
    eligible: np.ndarray | None = None,
) -> Evaluation:
    """Evaluate `target` against `baseline` (both float64 [n_pairs]; None: the logging policy) on `log`.

    findings: of checks already made, on what the log does not hold (`trail.check_trail`); a critical one, like one
    of the checks made here, makes the verdict abstain. eligible: see `integrity.check_propensities`.
    """
    findings = check_propensities(log, eligible) + findings
    covered = cover(log, target, baseline)
    fatal = tuple(it.words for it in findings if it.kind == FATAL and it.severity == "critical")
    reasons = hopeless(covered.log) + fatal
    if reasons:
        settles = MEND_FIRST if fatal else NOTHING_TO_GO_BY.format(config.min_clicks)
        told = (*reasons, settles, *notices(findings, config))
        return _without_numbers(log, covered.uncovered, told, findings)
    findings += check_weights(covered.log, covered.target)
    analysis = analyse(covered.log, covered.target, covered.baseline, config.reward_models, config.folds, config.seed)
    summary = _summary(log, covered, analysis, config, findings)
    if summary.selected is not None:
        return replace(summary, reasons=(*summary.reasons, *notices(findings, config)))
    if any(it.severity == "critical" for it in findings):
        return replace(summary, reasons=(*summary.reasons, MEND_FIRST, *notices(findings, config)))
    settles = outlook(log, target, baseline, covered, config)
    said = NOTHING_TO_PROVE if settles is None else settles.sentence(FIRST)
    return replace(summary, reasons=(*summary.reasons, said, *notices(findings, config)), outlook=settles)


def _summary(
    log: LoggedDecisions,
    covered: Covered,
    analysis: Analysis,
    config: EvaluationConfig,
    findings: tuple[Finding, ...],
) -> Evaluation:
    quantities = {name: value_of(it) for name, it in analysis.target.contributions.items()}
    intervals = bootstrap(quantities, covered.log.cluster, config.bootstrap, config.seed)
    card = trust_card(covered, analysis, config)
    broken = tuple(it.words for it in findings if it.severity == "critical")
    reasons = broken + doubts(covered, config, findings) + (() if card.chosen else (card.reason(),))
    selected = None if reasons else card.chosen
    compared = _compared(selected or UNBIASED, covered, analysis, config)
    valueless = tuple(_no_embedding(name, log) for name in ESTIMATORS if name not in analysis.estimators())
    return Evaluation(
        n=log.n,
        baseline=compared.baseline,
        estimates=tuple(_estimate(name, covered, analysis, intervals) for name in ESTIMATORS),
        selected=selected,
        lift=None if selected is None else compared.lift,
        relative_lift=None if selected is None else compared.relative,
        uncovered=covered.uncovered,
        reasons=(reasons or (card.reason(),)) + valueless,
        findings=findings,
        card=card,
    )


@dataclass(frozen=True)
class _Compared:
    """The baseline's value and the target's lift over it, by one estimator on the same rows and resamples."""

    baseline: Interval | None
    lift: Interval
    relative: Interval | None


def _compared(name: str, covered: Covered, analysis: Analysis, config: EvaluationConfig) -> _Compared:
    target, baseline = (value_of(side.contributions[name]) for side in (analysis.target, analysis.baseline))
    lift = difference(target, baseline)
    same = covered.log.cluster, config.bootstrap, config.seed
    found = bootstrap({"baseline": baseline, "lift": lift}, *same)
    alike = target.value() == baseline.value()
    relative_lift = NO_DIFFERENCE if alike else relative(target, baseline, *same)
    return _Compared(found.get("baseline"), found.get("lift", NO_DIFFERENCE), relative_lift)


def _estimate(name: str, covered: Covered, analysis: Analysis, intervals: dict[str, Interval]) -> Estimate:
    if name not in analysis.target.contributions:
        return Estimate(name, None, why_not=_no_embedding(name, covered.log))
    used, judged = analysis.target.contributions[name], analysis.target
    weighs = bool(used.used_weight.any())
    clip, scale = judged.shrinkage.get(name), covered.log.reward_range
    bounds = finite_sample(name, judged.rows[name], np.inf if clip is None else clip, analysis.fold, scale)
    return Estimate(
        name,
        intervals.get(name),
        ess=effective_sample_size(used.used_weight) if weighs else None,
        max_weight=float(used.used_weight.max()) if weighs else None,
        shrinkage=clip,
        finite_sample=Interval(used.value(), *bounds),
    )


def _no_embedding(name: str, log: LoggedDecisions) -> str:
    return (NO_EMBEDDING if log.action_features is None else ALL_ALIKE).format(name)


def _without_numbers(
    log: LoggedDecisions, uncovered: float, reasons: tuple[str, ...], findings: tuple[Finding, ...]
) -> Evaluation:
    nothing = tuple(Estimate(name, None, why_not=reasons[0]) for name in ESTIMATORS)
    return Evaluation(log.n, None, nothing, None, None, None, uncovered, reasons, findings)
