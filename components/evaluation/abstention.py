"""Reasons in words why a log cannot support an estimate, or why an estimate should not be trusted."""

import numpy as np

from components.evaluation.estimators.estimators import effective_sample_size
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.logged_decisions import Covered, LoggedDecisions
from components.settings.sections import EvaluationConfig

MIN_ROWS = 30
MIN_SHOPPERS = 10
MAX_WEIGHT_SHARE = 0.05  # of the sum of weights that one row may have
REPORTED_NOTICES = (
    "propensity_rounding",
    "propensity_unchecked",
    "unknown_shoppers",
    "shopper_share",
    "coarse_times",
    "unmatched_actions",
    "rewards_not_final",
)  # kinds of notices that stand beside every verdict


def blocking_reasons(log: LoggedDecisions) -> tuple[str, ...]:
    """Reasons why not even an estimate should be shown; empty if there are none."""
    reasons = []
    if log.n < MIN_ROWS:
        reasons.append(f"the log has {log.n} impressions; below {MIN_ROWS} no estimate means anything")
    actions = len(np.unique(log.action[log.logged]))
    if actions < 2:
        reasons.append("the log shows one action only, so it cannot tell policies apart")
    shoppers = len(np.unique(log.cluster))
    if log.n >= MIN_ROWS and shoppers < MIN_SHOPPERS:
        reasons.append(f"the log has {shoppers} shoppers; below {MIN_SHOPPERS} no interval means anything")
    if log.n and log.reward.min() == log.reward.max():
        reasons.append(f"every reward is {log.reward[0]:g}, so nothing can be learned about what earns one")
    return tuple(reasons)


def notices(findings: tuple[Finding, ...], config: EvaluationConfig) -> tuple[str, ...]:
    """Findings that do not change the verdict but that its reader should know, one sentence each."""
    limits = {"shopper_share": config.max_shopper_share}  # above it the finding is a reason, not a notice
    reported = (finding for finding in findings if finding.severity == "notice" and finding.kind in REPORTED_NOTICES)
    return tuple(f"notice: {finding.message}" for finding in reported if finding.share <= limits.get(finding.kind, 1.0))


def trust_warnings(covered: Covered, config: EvaluationConfig, findings: tuple[Finding, ...] = ()) -> tuple[str, ...]:
    """Reasons why estimates may be shown but not trusted; empty if there are none.

    findings: if one of them names the shopper with most rows, the reason repeats the name.
    """
    log, reasons = covered.log, []
    reasons.extend(_largest_shopper(log, config.max_shopper_share, findings))
    if covered.uncovered > config.max_uncovered:
        reasons.append(
            f"{covered.uncovered:.1%} of the mass falls on actions that the log never shows; "
            f"at most {config.max_uncovered:.1%} may"
        )
    events = int((log.reward != 0).sum())
    if events < config.min_clicks:
        reasons.append(f"the log has {events} rewarded impressions; at least {config.min_clicks} are needed")
    policies = {"target": covered.target}
    if covered.baseline is not None:
        policies["baseline"] = covered.baseline
    for name, policy in policies.items():
        reasons.extend(_overlap_warnings(name, log.weight(policy), config))
    return tuple(reasons)


def _largest_shopper(log: LoggedDecisions, max_share: float, findings: tuple[Finding, ...]) -> list[str]:
    """A reason if one shopper has more than `max_share` of the rows: intervals by shopper then mean little."""
    share = float(np.bincount(log.cluster).max() / log.n)
    if share <= max_share:
        return []
    messages = [
        finding.message for finding in findings if finding.kind == "shopper_share" and finding.share > max_share
    ]
    message = messages[0] if messages else f"one shopper has {share:.1%} of the impressions"
    return [
        f"{message}; at most {max_share:.1%} may (evaluation.max_shopper_share). If the id stands for unknown "
        "shoppers, leave the field empty; if it is a machine, leave its rows out"
    ]


def _overlap_warnings(name: str, weight: np.ndarray, config: EvaluationConfig) -> list[str]:
    ess = effective_sample_size(weight)
    if ess == 0:
        return [f"the {name} never chooses what the log shows"]
    reasons = []
    if ess < config.min_ess:
        reasons.append(
            f"the effective sample size of the {name} is {ess:,.0f}; at least {config.min_ess:,.0f} is needed"
        )
    share = float(weight.max() / weight.sum())
    if share > MAX_WEIGHT_SHARE:
        reasons.append(f"one impression carries {share:.1%} of the {name}'s weight; at most {MAX_WEIGHT_SHARE:.0%} may")
    return reasons
