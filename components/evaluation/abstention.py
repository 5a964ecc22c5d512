"""When a log cannot carry a judgement, and why, in words."""

import numpy as np

from components.evaluation.estimators.estimators import effective_sample_size
from components.evaluation.log_checks.integrity import Finding
from components.evaluation.logged_decisions import Covered, LoggedDecisions
from components.settings.sections import EvaluationConfig

FEWEST_ROWS = 30
FEWEST_SHOPPERS = 10
LARGEST_SHARE = 0.05  # of the sum of weights that one row may have
TOLD = (
    "propensity_rounding",
    "propensity_unchecked",
    "unknown_shoppers",
    "shopper_share",
    "coarse_times",
    "unmatched_actions",
    "rewards_not_final",
)  # kinds of findings that a reader of the verdict is told of, whatever it is


def hopeless(log: LoggedDecisions) -> tuple[str, ...]:
    """Reasons why not even an estimate should be shown; empty where there are none."""
    reasons = []
    if log.n < FEWEST_ROWS:
        reasons.append(f"the log has {log.n} impressions; below {FEWEST_ROWS} no estimate means anything")
    shown = len(np.unique(log.action[log.logged]))
    if shown < 2:
        reasons.append("the log shows one action only, so it cannot tell policies apart")
    shoppers = len(np.unique(log.cluster))
    if log.n >= FEWEST_ROWS and shoppers < FEWEST_SHOPPERS:
        reasons.append(f"the log has {shoppers} shoppers; below {FEWEST_SHOPPERS} no interval means anything")
    if log.n and log.reward.min() == log.reward.max():
        reasons.append(f"every reward is {log.reward[0]:g}, so nothing can be learned about what earns one")
    return tuple(reasons)


def notices(findings: tuple[Finding, ...], config: EvaluationConfig) -> tuple[str, ...]:
    """What changes no verdict, but should be known to whom it is told."""
    limited = {"shopper_share": config.max_shopper_share}  # above it is a reason, not a notice
    told = (it for it in findings if it.severity == "notice" and it.kind in TOLD)
    return tuple(f"notice: {it.words}" for it in told if it.share <= limited.get(it.kind, 1.0))


def doubts(covered: Covered, config: EvaluationConfig, findings: tuple[Finding, ...] = ()) -> tuple[str, ...]:
    """Reasons why estimates may be shown but not trusted; empty where there are none.

    findings: where one of them names the shopper with most of the rows, the reason names it too.
    """
    log, reasons = covered.log, []
    reasons.extend(_one_shopper(log, config.max_shopper_share, findings))
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
        reasons.extend(_overlap_doubts(name, log.weight(policy), config))
    return tuple(reasons)


def _one_shopper(log: LoggedDecisions, most: float, findings: tuple[Finding, ...]) -> list[str]:
    """Rows of one shopper hang together, so that intervals by shopper mean little where one has many of them."""
    share = float(np.bincount(log.cluster).max() / log.n)
    if share <= most:
        return []
    named = [it.words for it in findings if it.kind == "shopper_share" and it.share > most]
    words = named[0] if named else f"one shopper has {share:.1%} of the impressions"
    return [
        f"{words}; at most {most:.1%} may (evaluation.max_shopper_share). If the id stands for unknown shoppers, "
        "leave the field empty; if it is a machine, leave its rows out"
    ]


def _overlap_doubts(name: str, weight: np.ndarray, config: EvaluationConfig) -> list[str]:
    ess = effective_sample_size(weight)
    if ess == 0:
        return [f"the {name} never chooses what the log shows"]
    reasons = []
    if ess < config.min_ess:
        reasons.append(
            f"the effective sample size of the {name} is {ess:,.0f}; at least {config.min_ess:,.0f} is needed"
        )
    share = float(weight.max() / weight.sum())
    if share > LARGEST_SHARE:
        reasons.append(f"one impression carries {share:.1%} of the {name}'s weight; at most {LARGEST_SHARE:.0%} may")
    return reasons
