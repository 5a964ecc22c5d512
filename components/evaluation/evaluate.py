"""The off-policy evaluation of a target policy on a log: estimates, intervals, lift, and a verdict."""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.abstention import blocking_reasons, notices, trust_warnings
from components.evaluation.estimators.analysis import Analysis, analyse
from components.evaluation.estimators.estimators import ESTIMATORS, UNBIASED, effective_sample_size
from components.evaluation.gate.sample_size import FIRST_ALPHA, sample_sizes
from components.evaluation.intervals.finite_sample_bounds import finite_sample
from components.evaluation.intervals.resampling import Interval, bootstrap, difference, relative, value_of
from components.evaluation.log_checks.integrity import check_propensities, check_weights
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.logged_decisions import Covered, LoggedDecisions, cover
from components.evaluation.result import Estimate, Evaluation
from components.evaluation.trust import trust_card
from components.settings.sections import EvaluationConfig

NO_EMBEDDING = "{} has no value: it needs features of the actions (feature_* columns), and there are none"
EQUAL_FEATURES = "{} has no value: within each impression all actions have the same features (feature_* columns)"

SAMPLE_SIZE_UNKNOWN = (
    "the number of impressions that would settle it is unknown, because the log varies too little: explore, so that "
    "every action is shown with a known probability (begin with 5 % at random), until {} impressions were rewarded"
)
NO_LIFT_TO_PROVE = "no number of impressions settles this: both policies choose alike, so there is no lift to prove"
FIX_LOG_FIRST = "no number of impressions settles this: the log contradicts itself, and that has to be corrected first"
LOG_PROPENSITIES = (
    "no number of impressions settles this without propensities: from now on, log with each impression the probability "
    "with which its creative was chosen"
)
FATAL = "propensity_range"  # the kind of finding after which weights cannot be computed
NO_DIFFERENCE = Interval(0.0, 0.0, 0.0)  # the lift of two policies that choose alike: no uncertainty


def evaluate(
    log: LoggedDecisions,
    target: np.ndarray,
    config: EvaluationConfig,
    baseline: np.ndarray | None = None,
    *,
    findings: tuple[Finding, ...] = (),
    eligible: np.ndarray | None = None,
) -> Evaluation:
    """The evaluation of `target` against `baseline` (both float64 [n_pairs]; None: the logging policy) on `log`.

    findings: of checks that need more than the log (`row_checks.check_rows`); a critical one, like one of the checks
    made here, makes the verdict abstain. eligible: see `integrity.check_propensities`.
    """
    findings = check_propensities(log, eligible) + findings
    covered = cover(log, target, baseline)
    fatal = tuple(finding.message for finding in findings if finding.kind == FATAL and finding.severity == "critical")
    reasons = blocking_reasons(covered.log) + fatal
    if reasons:
        advice = FIX_LOG_FIRST if fatal else SAMPLE_SIZE_UNKNOWN.format(config.min_clicks)
        if fatal and np.isnan(log.propensity).all():
            advice = LOG_PROPENSITIES
        reasons = (*reasons, advice, *notices(findings, config))
        return _without_numbers(log, covered.uncovered, reasons, findings)
    findings += check_weights(covered.log, covered.target)
    analysis = analyse(
        covered.log, covered.target, covered.baseline, models=config.reward_models, folds=config.folds, seed=config.seed
    )
    summary = _summary(log, covered, analysis, config, findings)
    if summary.selected is not None:
        return _with_reasons(summary, *notices(findings, config))
    if any(finding.severity == "critical" for finding in findings):
        return _with_reasons(summary, FIX_LOG_FIRST, *notices(findings, config))
    needed = sample_sizes(log, target, baseline, covered, config)
    advice = NO_LIFT_TO_PROVE if needed is None else needed.sentence(FIRST_ALPHA)
    return replace(_with_reasons(summary, advice, *notices(findings, config)), sample_sizes=needed)


def _with_reasons(evaluation: Evaluation, *reasons: str) -> Evaluation:
    return replace(evaluation, reasons=(*evaluation.reasons, *reasons))


def _summary(
    log: LoggedDecisions,
    covered: Covered,
    analysis: Analysis,
    config: EvaluationConfig,
    findings: tuple[Finding, ...],
) -> Evaluation:
    quantities = {name: value_of(terms) for name, terms in analysis.target.contributions.items()}
    intervals = bootstrap(quantities, covered.log.cluster, config.bootstrap, config.seed)
    card = trust_card(covered, analysis, config)
    critical = tuple(finding.message for finding in findings if finding.severity == "critical")
    reasons = critical + trust_warnings(covered, config, findings) + (() if card.chosen else (card.reason(),))
    selected = None if reasons else card.chosen
    comparison = _comparison(selected or UNBIASED, covered, analysis, config)
    without_value = tuple(_no_embedding(name, log) for name in ESTIMATORS if name not in analysis.estimators())
    return Evaluation(
        n=log.n,
        baseline=comparison.baseline,
        estimates=tuple(_estimate(name, covered, analysis, intervals) for name in ESTIMATORS),
        selected=selected,
        lift=None if selected is None else comparison.lift,
        relative_lift=None if selected is None else comparison.relative,
        uncovered=covered.uncovered,
        reasons=(reasons or (card.reason(),)) + without_value,
        findings=findings,
        card=card,
    )


@dataclass(frozen=True)
class _Comparison:
    """The baseline's value and the target's lift over it, by one estimator on the same rows and resamples."""

    baseline: Interval | None
    lift: Interval
    relative: Interval | None


def _comparison(name: str, covered: Covered, analysis: Analysis, config: EvaluationConfig) -> _Comparison:
    target, baseline = (value_of(policy.contributions[name]) for policy in (analysis.target, analysis.baseline))
    lift = difference(target, baseline)
    resampling = covered.log.cluster, config.bootstrap, config.seed
    intervals = bootstrap({"baseline": baseline, "lift": lift}, *resampling)
    alike = target.value() == baseline.value()
    relative_lift = NO_DIFFERENCE if alike else relative(target, baseline, *resampling)
    return _Comparison(intervals.get("baseline"), intervals.get("lift", NO_DIFFERENCE), relative_lift)


def _estimate(name: str, covered: Covered, analysis: Analysis, intervals: dict[str, Interval]) -> Estimate:
    policy = analysis.target
    if name not in policy.contributions:
        return Estimate(name, None, why_not=_no_embedding(name, covered.log))
    terms = policy.contributions[name]
    uses_weights = bool(terms.used_weight.any())
    shrinkage, reward_range = policy.shrinkage.get(name), covered.log.reward_range
    clip = np.inf if shrinkage is None else shrinkage
    bounds = finite_sample(name, policy.rows[name], clip, analysis.fold, reward_range)
    return Estimate(
        name,
        intervals.get(name),
        ess=effective_sample_size(terms.used_weight) if uses_weights else None,
        max_weight=float(terms.used_weight.max()) if uses_weights else None,
        shrinkage=shrinkage,
        finite_sample=Interval(terms.value(), *bounds),
    )


def _no_embedding(name: str, log: LoggedDecisions) -> str:
    return (NO_EMBEDDING if log.action_features is None else EQUAL_FEATURES).format(name)


def _without_numbers(
    log: LoggedDecisions, uncovered: float, reasons: tuple[str, ...], findings: tuple[Finding, ...]
) -> Evaluation:
    estimates = tuple(Estimate(name, None, why_not=reasons[0]) for name in ESTIMATORS)
    return Evaluation(log.n, None, estimates, None, None, None, uncovered, reasons, findings)
