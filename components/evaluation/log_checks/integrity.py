"""Checks of a log's propensities before any estimate, each with a severity and a message.

The shown actions are compared with the logging distribution in the log. Given the contexts, the number of times that an
action is shown has a known mean and variance, so every test is exact up to the normal approximation. If only the
propensity of the shown action is known, the distribution is inferred where possible (implied_propensities.py).
Otherwise the test is one-sided: the sum of 1 / propensity over the rows of an action has a mean of at most the number
of impressions at which the action was eligible. Every test allows for the rounding of the propensities (rounding.py).
A `critical` finding makes the evaluation abstain.
"""

import numpy as np

from components.evaluation.estimators.estimators import effective_sample_size
from components.evaluation.log_checks.action_shares import shares_chance
from components.evaluation.log_checks.implied_propensities import implied_logging
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.log_checks.rounding import Rounding, rounding_of
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_sums, spread

ALPHA = 5e-4  # per test; all tests together raise a false alarm on well under 1 % of correct logs
SUM_TOLERANCE = 1e-5  # of sums that should be 1, in addition to rounding
MAX_ROUNDING = 0.1  # the largest distance of a sum from 1 that rounding can explain
MAX_WEIGHT_SHARE = 0.05  # of the sum of weights; if one row has more, their mean is not tested
PROPENSITY_BINS = 20
MAX_NAMED = 5  # contradicted actions that a finding names
NOTICEABLE_ERROR = 0.01  # relative error of weights by rounding that gives a notice
MAX_UNSEEN_ERROR = 0.5  # propensities count as checked if the test detects a larger relative error of all together


def check_propensities(log: LoggedDecisions, eligible: np.ndarray | None = None) -> tuple[Finding, ...]:
    """The findings of all checks that need the log alone.

    eligible: bool [n_pairs], pairs known to be eligible whatever was shown; None: all. It matters if only the shown
    propensity is known and the action sets come from another source.
    """
    findings = [_in_range(log)]
    if findings[0].severity == "critical":
        return tuple(findings)
    rounding = rounding_of(log.propensity)
    findings += _coarse(log, rounding)
    if log.logging is None:
        return tuple(findings) + _check_shown(log, rounding, eligible)
    distribution_rounding = rounding_of(log.logging)
    findings += [_sums(log, distribution_rounding), _agrees(log, rounding, distribution_rounding)]
    if any(finding.severity == "critical" for finding in findings):
        return tuple(findings)
    return tuple(findings) + _check_distribution(log, distribution_rounding)


def _check_distribution(log: LoggedDecisions, rounding: Rounding) -> tuple[Finding, ...]:
    """Checks of a whole logging distribution, which sums to 1 up to rounding."""
    return (
        _calibration(log, rounding),
        _sample_ratio(log, rounding),
        _support(log),
        _inverse_propensities(log, rounding),
    )


def _check_shown(log: LoggedDecisions, rounding: Rounding, eligible: np.ndarray | None) -> tuple[Finding, ...]:
    """Checks of a log that has the propensity of the shown action alone."""
    all_eligible = eligible is None or bool(eligible.all())
    bound = _propensity_bound(log, rounding, np.ones(len(log.action), dtype=bool) if all_eligible else eligible)
    implied = implied_logging(log, rounding) if all_eligible else None
    if implied is None:
        return bound
    two_sided = _check_distribution(implied, rounding)
    return two_sided if implied.n == log.n else (*two_sided, *bound)


def check_weights(log: LoggedDecisions, target: np.ndarray) -> tuple[Finding, ...]:
    """Checks of the importance weights of `target` [n_pairs], which the log must cover."""
    return _mean_weight(log, target, rounding_of(log.propensity)), _overlap(log, target)


def _in_range(log: LoggedDecisions) -> Finding:
    if len(log.propensity) and np.isnan(log.propensity).all():
        message = (
            "the log has no propensities: without the probability of what was shown nobody can tell what another "
            "choice would have earned"
        )
        return Finding("propensity_range", "critical", message, 1.0)
    wrong = ~(np.isfinite(log.propensity) & (log.propensity > 0) & (log.propensity <= 1 + SUM_TOLERANCE))
    return _rows("propensity_range", wrong, log, "have a propensity that is not in (0, 1]")


def _coarse(log: LoggedDecisions, rounding: Rounding) -> tuple[Finding, ...]:
    """A notice if rounding may change the weights noticeably."""
    error = float((rounding.error(log.propensity) / log.propensity).mean())
    if error < NOTICEABLE_ERROR:
        return ()
    digits = "" if rounding.decimals is None else f" to {rounding.decimals} decimals"
    message = (
        f"propensities look rounded{digits}, so weights may be wrong by {error:.1%} on average; "
        "log them with at least six digits"
    )
    return (Finding("propensity_rounding", "notice", message, error),)


def _sums(log: LoggedDecisions, rounding: Rounding) -> Finding:
    explained = np.minimum(row_sums(rounding.error(log.logging) * (log.logging > 0), log.offsets), MAX_ROUNDING)
    wrong = np.abs(row_sums(log.logging, log.offsets) - 1) > SUM_TOLERANCE + explained
    return _rows("propensity_sum", wrong, log, "have candidates whose propensities do not sum to 1")


def _agrees(log: LoggedDecisions, rounding: Rounding, distribution_rounding: Rounding) -> Finding:
    in_candidates = log.logging[log.logged]
    explained = rounding.error(log.propensity) + distribution_rounding.error(in_candidates)
    wrong = np.abs(in_candidates - log.propensity) > explained + 1e-6 * log.propensity
    return _rows(
        "propensity_mismatch", wrong, log, "have another propensity than their candidates state for the shown action"
    )


def _calibration(log: LoggedDecisions, rounding: Rounding) -> Finding:
    """Observed against stated frequencies within bins of the propensity."""
    edges = np.unique(np.quantile(log.logging, np.linspace(0, 1, PROPENSITY_BINS + 1)[1:-1]))
    group = np.searchsorted(edges, log.logging, side="right")
    chance = shares_chance(log, group, rounding.error(log.logging))
    message = "propensities agree with how often actions of such propensity were shown"
    if chance < ALPHA:
        message = f"actions were not shown as often as their propensities say (chance of such a gap: {_odds(chance)})"
    return Finding("propensity_calibration", "critical" if chance < ALPHA else "ok", message)


def _sample_ratio(log: LoggedDecisions, rounding: Rounding) -> Finding:
    """Shown against expected count of each action (sample-ratio mismatch), which detects lost or doubled rows."""
    error = rounding.error(log.logging)
    chance = shares_chance(log, log.action, error)
    if chance >= ALPHA:
        return Finding("sample_ratio", "ok", "every action was shown about as often as the propensities say")
    size = len(log.action_names)
    shown = np.bincount(log.action[log.logged], minlength=size)
    expected, eligible = np.bincount(log.action, log.logging, size), np.bincount(log.action, minlength=size)
    variance = (
        np.bincount(log.action, log.logging * (1 - log.logging), size) + np.bincount(log.action, error, size) ** 2
    )
    deviation = np.abs(shown - expected) / np.sqrt(np.maximum(variance, 1.0))
    worst = [code for code in np.argsort(-deviation, kind="stable")[:MAX_NAMED] if deviation[code] > 2]
    examples = [
        f"{log.action_names[code]} {shown[code]:,} times, {expected[code]:,.0f} expected "
        f"({shown[code] / eligible[code]:.1%} of the {eligible[code]:,} impressions at which it was eligible; "
        f"its propensity says {expected[code] / eligible[code]:.1%})"
        for code in worst
    ]
    message = (
        f"actions were not shown as often as the propensities say: {'; '.join(examples)} (chance: {_odds(chance)}); "
        "the propensities are not those of the policy that acted, or rows of some actions are lost or doubled"
    )
    return Finding("sample_ratio", "critical", message, len(worst) / max(int((eligible > 0).sum()), 1))


def _support(log: LoggedDecisions) -> Finding:
    """Actions that were never shown although their propensities expect it."""
    shown = np.bincount(log.action[log.logged], minlength=len(log.action_names))
    expected = np.bincount(log.action, log.logging, len(log.action_names))
    missing = (shown == 0) & (expected > -np.log(ALPHA / len(expected)))
    message = "every action that should have been shown was shown"
    if missing.any():
        name = log.action_names[int(np.argmax(missing * expected))]
        message = f"{int(missing.sum())} actions were never shown although their propensities expect it, such as {name}"
    return Finding("support", "critical" if missing.any() else "ok", message, float(missing.mean()))


def _inverse_propensities(log: LoggedDecisions, rounding: Rounding) -> Finding:
    """The mean of 1 / (k propensity) over the log is 1 if all k eligible actions have a positive propensity."""
    eligible = (log.logging > 0).astype(float)
    uniform = eligible / spread(row_sums(eligible, log.offsets), log.offsets)
    return _weight_test("inverse_propensity", "inverse propensities", log, uniform, rounding)


def _mean_weight(log: LoggedDecisions, target: np.ndarray, rounding: Rounding) -> Finding:
    """The mean importance weight of any policy is 1 (the control variate of Swaminathan and Joachims 2015)."""
    return _weight_test("mean_weight", "importance weights", log, target, rounding)


def _weight_test(kind: str, what: str, log: LoggedDecisions, policy: np.ndarray, rounding: Rounding) -> Finding:
    weight = log.weight(policy)
    total = float(weight.sum())
    if total == 0 or weight.max() > MAX_WEIGHT_SHARE * total:
        return Finding(kind, "inconclusive", f"the mean of the {what} cannot be tested: one impression dominates it")
    if log.logging is not None:
        inverse = np.divide(policy**2, log.logging, out=np.zeros_like(policy), where=log.logging > 0)
        covered = row_sums(policy * (log.logging > 0), log.offsets)
        variance = float((row_sums(inverse, log.offsets) - covered**2).sum())
        expected = float(covered.sum())
    else:
        variance, expected = float(log.n * weight.var()), float(log.n)
    rounded = float((weight * rounding.error(log.propensity) / log.propensity).sum()) + SUM_TOLERANCE * log.n
    gap = (total - expected) / np.sqrt(max(variance, 0.0) + rounded**2)
    chance = _two_sided(gap)
    mean = total / log.n
    if chance >= ALPHA:
        return Finding(kind, "ok", f"the mean of the {what} is {mean:.3f}, as it should be")
    return Finding(kind, "critical", f"the mean of the {what} is {mean:.3f} and should be 1 (chance: {_odds(chance)})")


def _propensity_bound(log: LoggedDecisions, rounding: Rounding, eligible: np.ndarray) -> tuple[Finding, ...]:
    """Actions shown more often than their propensities allow, if only the shown propensity p is known.

    Over the impressions E at which an action is eligible, E[sum of 1/p over those that showed it] <= |E|: it is the
    number of them at which the action has a positive probability. The sum's variance, the sum over E of (1/p - 1), is
    estimated by the sum of (1/p^2 - 1/p) over those that showed it. Both sums grow with the rows shown, which makes the
    test conservative. Bonferroni over the actions, plus one test of all actions together.
    """
    size = len(log.action_names)
    shown = log.logged[eligible[log.logged]]
    propensity = log.propensity[eligible[log.logged]]
    code = log.action[shown]
    impressions = np.bincount(log.action[eligible], minlength=size).astype(float)
    inverse = np.bincount(code, 1 / propensity, size)
    variance = np.bincount(code, 1 / propensity**2 - 1 / propensity, size)
    rounded = np.bincount(code, rounding.error(propensity) / propensity**2, size)
    gap, tests = np.append(inverse - impressions, (inverse - impressions).sum()), int((impressions > 0).sum()) + 1
    noise = np.sqrt(np.append(variance + rounded**2, variance.sum() + rounded.sum() ** 2) + 1.0)
    deviation, threshold = gap / noise, _quantile(ALPHA / tests)
    wrong = deviation > threshold
    if not wrong.any():
        finding = Finding("propensity_bound", "ok", "no action was shown more often than its propensities allow")
        smallest_seen = threshold * noise[-1]
        return finding, _unchecked(smallest_seen, float(impressions.sum()), len(shown), log.n)
    worst = [action for action in np.argsort(-deviation[:size], kind="stable")[:MAX_NAMED] if wrong[action]]
    examples = "; ".join(_too_often(log, action, shown, impressions[action], inverse[action]) for action in worst)
    total = f"1/propensity sums to {inverse.sum():,.0f} over all rows and can be at most {impressions.sum():,.0f}"
    message = (
        f"actions were shown more often than their propensities allow: {examples or total}; the propensities are not "
        "those of the policy that acted"
    )
    return (Finding("propensity_bound", "critical", message, float(wrong[:size].sum() / max(tests - 1, 1))),)


def _too_often(log: LoggedDecisions, code: int, shown: np.ndarray, impressions: float, inverse: float) -> str:
    rows = log.action[shown] == code
    stated = log.propensity[np.isin(log.logged, shown[rows])]
    low, high = float(stated.min()), float(stated.max())
    claimed = f"{low:.3g}" if high - low <= 1e-6 * high else f"{low:.3g} to {high:.3g}"
    return (
        f"{log.action_names[code]} in {rows.sum() / impressions:.1%} of the {impressions:,.0f} impressions at which it "
        f"was eligible, with a propensity of {claimed} (its 1/propensity sums to {inverse:,.0f}, which can be at most "
        f"{impressions:,.0f} beyond chance)"
    )


def _unchecked(smallest_seen: float, impressions: float, shown: int, n: int) -> Finding:
    """A notice of the errors that the one-sided check cannot detect.

    smallest_seen: the smallest excess of the sum of 1 / propensity over `impressions` that the check detects.
    """
    advice = "log every eligible action's propensity (in a run: the table candidates) to have them checked"
    if shown < 0.05 * n or smallest_seen > MAX_UNSEEN_ERROR * impressions:
        message = f"nothing in the log can check its propensities, so the estimates take them on trust; {advice}"
    else:
        message = (
            "propensities could be checked in one direction only, because the log has that of the shown action alone: "
            "propensities that are too low overall would have been detected, propensities that are too high for some "
            f"actions would not; {advice}"
        )
    return Finding("propensity_unchecked", "notice", message)


def _overlap(log: LoggedDecisions, target: np.ndarray) -> Finding:
    share = effective_sample_size(log.weight(target)) / log.n
    message = f"the target's effective sample size is {share:.1%} of the log"
    return Finding("overlap", "notice" if share < 0.1 else "ok", message, share)


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))


def _odds(chance: float) -> str:
    return f"{chance:.1g}" if chance >= 1e-300 else "below 1e-300"


def _quantile(chance: float) -> float:
    """The number of standard deviations that a normal variable exceeds with probability `chance`."""
    from scipy.special import ndtri

    return float(-ndtri(chance))


def _rows(kind: str, wrong: np.ndarray, log: LoggedDecisions, what: str) -> Finding:
    """A finding about single rows; one wrong row makes it critical."""
    if not wrong.any():
        return Finding(kind, "ok", f"no impressions {what}")
    example = log.impression[wrong][:3].tolist()
    return Finding(kind, "critical", f"{int(wrong.sum()):,} impressions {what}, such as {example}", float(wrong.mean()))
