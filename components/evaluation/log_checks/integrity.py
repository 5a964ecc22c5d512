"""Is the log what it says it is? Checks to make before any estimate, each with a severity and words for a person.

What was shown is compared with the logging distribution that the log itself reports: given the contexts, how often each
action is shown has a known mean and a known variance, so every test below is exact up to the normal approximation.
Where only the propensity of the shown action is known, the distribution is taken from what was shown if that gives it
away (`implied.py`); else the sum of 1 / propensity over the rows of an action, whose mean is at most the impressions at
which the action was eligible, is tested on that side alone. Every test allows for the rounding that the propensities
show (`rounding.py`). A `critical` finding makes the evaluation abstain.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.evaluation.estimators.estimators import effective_sample_size
from components.evaluation.log_checks.action_shares import shares_chance
from components.evaluation.log_checks.implied_propensities import implied_logging
from components.evaluation.log_checks.rounding import Rounding, rounding_of
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_sums, spread

Severity = Literal["ok", "notice", "critical", "inconclusive"]

ALPHA = 5e-4  # per test; a clean log raises a false alarm in well under 1 % of cases over all tests together
SUM_TOLERANCE = 1e-5  # of sums that should be 1, beside what rounding explains
MOST_ROUNDED = 0.1  # rounding never explains a larger distance of a sum from 1
DOMINANT = 0.05  # one row with more of the sum of weights makes a test of their mean meaningless
PROPENSITY_BINS = 20
NAMED = 5  # contradicted actions that a finding names
COARSE = 0.01  # relative error of weights by rounding, from which on the reader is told
BLIND = 0.5  # relative error of all propensities together that must not stay unseen for them to count as checked


@dataclass(frozen=True)
class Finding:
    """What one check saw. `share` is the share of rows or actions concerned, in [0, 1]."""

    kind: str
    severity: Severity
    words: str
    share: float = 0.0


def check_propensities(log: LoggedDecisions, eligible: np.ndarray | None = None) -> tuple[Finding, ...]:
    """All checks that need the log alone.

    eligible: bool [n_pairs], pairs that are known to be eligible whatever was shown; None: all of them. It matters
    where only the shown propensity is known and the action sets were put together from other sources.
    """
    found = [_in_range(log)]
    if found[0].severity == "critical":
        return tuple(found)
    rounding = rounding_of(log.propensity)
    found += _coarse(log, rounding)
    if log.logging is None:
        return tuple(found) + _check_shown(log, rounding, eligible)
    whole = rounding_of(log.logging)
    found += [_sums(log, whole), _agrees(log, rounding, whole)]
    if any(it.severity == "critical" for it in found):
        return tuple(found)
    return tuple(found) + _check_distribution(log, whole)


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
    everywhere = eligible is None or bool(eligible.all())
    bound = _propensity_bound(log, rounding, np.ones(len(log.action), dtype=bool) if everywhere else eligible)
    implied = implied_logging(log, rounding) if everywhere else None
    if implied is None:
        return bound
    two_sided = _check_distribution(implied, rounding)
    return two_sided if implied.n == log.n else (*two_sided, *bound)


def check_weights(log: LoggedDecisions, target: np.ndarray) -> tuple[Finding, ...]:
    """Checks of the importance weights of `target` [n_pairs], which the log must cover."""
    return _mean_weight(log, target, rounding_of(log.propensity)), _overlap(log, target)


def _in_range(log: LoggedDecisions) -> Finding:
    wrong = ~(np.isfinite(log.propensity) & (log.propensity > 0) & (log.propensity <= 1 + SUM_TOLERANCE))
    return _rows("propensity_range", wrong, log, "have a propensity that is not in (0, 1]")


def _coarse(log: LoggedDecisions, rounding: Rounding) -> tuple[Finding, ...]:
    """A notice where rounding alone may move the weights by much."""
    error = float((rounding.error(log.propensity) / log.propensity).mean())
    if error < COARSE:
        return ()
    digits = "" if rounding.decimals is None else f" to {rounding.decimals} decimals"
    words = (
        f"propensities look rounded{digits}, by which weights may be wrong by {error:.1%} on average; "
        "log them with at least six digits"
    )
    return (Finding("propensity_rounding", "notice", words, error),)


def _sums(log: LoggedDecisions, rounding: Rounding) -> Finding:
    explained = np.minimum(row_sums(rounding.error(log.logging) * (log.logging > 0), log.offsets), MOST_ROUNDED)
    wrong = np.abs(row_sums(log.logging, log.offsets) - 1) > SUM_TOLERANCE + explained
    return _rows("propensity_sum", wrong, log, "have candidates whose propensities do not sum to 1")


def _agrees(log: LoggedDecisions, rounding: Rounding, whole: Rounding) -> Finding:
    listed = log.logging[log.logged]
    explained = rounding.error(log.propensity) + whole.error(listed)
    wrong = np.abs(listed - log.propensity) > explained + 1e-6 * log.propensity
    return _rows("propensity_mismatch", wrong, log, "have a propensity other than their candidates' for what was shown")


def _calibration(log: LoggedDecisions, rounding: Rounding) -> Finding:
    """Observed against stated frequency within bins of the propensity: a policy that was logged wrongly shows here."""
    edges = np.unique(np.quantile(log.logging, np.linspace(0, 1, PROPENSITY_BINS + 1)[1:-1]))
    group = np.searchsorted(edges, log.logging, side="right")
    chance = shares_chance(log, group, rounding.error(log.logging))
    words = "propensities agree with how often actions of such propensity were shown"
    if chance < ALPHA:
        words = f"actions were not shown as often as their propensities say (chance of such a gap: {_odds(chance)})"
    return Finding("propensity_calibration", "critical" if chance < ALPHA else "ok", words)


def _sample_ratio(log: LoggedDecisions, rounding: Rounding) -> Finding:
    """Shown against expected count of each action (sample-ratio mismatch): lost or doubled rows of some arms."""
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
    surprise = np.abs(shown - expected) / np.sqrt(np.maximum(variance, 1.0))
    worst = [code for code in np.argsort(-surprise, kind="stable")[:NAMED] if surprise[code] > 2]
    told = [
        f"{log.action_names[code]} {shown[code]:,} times, {expected[code]:,.0f} expected "
        f"({shown[code] / eligible[code]:.1%} of the {eligible[code]:,} impressions at which it was eligible; "
        f"its propensity says {expected[code] / eligible[code]:.1%})"
        for code in worst
    ]
    words = (
        f"actions were not shown as often as the propensities say: {'; '.join(told)} (chance: {_odds(chance)}); "
        "the propensities are not those that acted, or rows of some actions are lost or doubled"
    )
    return Finding("sample_ratio", "critical", words, len(worst) / max(int((eligible > 0).sum()), 1))


def _support(log: LoggedDecisions) -> Finding:
    """Actions that should have been shown often and never were."""
    shown = np.bincount(log.action[log.logged], minlength=len(log.action_names))
    expected = np.bincount(log.action, log.logging, len(log.action_names))
    missing = (shown == 0) & (expected > -np.log(ALPHA / len(expected)))
    words = "every action that should have been shown was"
    if missing.any():
        name = log.action_names[int(np.argmax(missing * expected))]
        words = f"{int(missing.sum())} actions were never shown although their propensities expect it, such as {name}"
    return Finding("support", "critical" if missing.any() else "ok", words, float(missing.mean()))


def _inverse_propensities(log: LoggedDecisions, rounding: Rounding) -> Finding:
    """The mean of 1 / (k propensity) over the log is 1 where all k eligible actions have a chance."""
    eligible = (log.logging > 0).astype(float)
    alike = eligible / spread(row_sums(eligible, log.offsets), log.offsets)
    return _weight_test("inverse_propensity", "inverse propensities", log, alike, rounding)


def _mean_weight(log: LoggedDecisions, target: np.ndarray, rounding: Rounding) -> Finding:
    """The mean importance weight of any policy is 1 (the control variate of Swaminathan and Joachims 2015)."""
    return _weight_test("mean_weight", "importance weights", log, target, rounding)


def _weight_test(kind: str, what: str, log: LoggedDecisions, policy: np.ndarray, rounding: Rounding) -> Finding:
    weight = log.weight(policy)
    total = float(weight.sum())
    if total == 0 or weight.max() > DOMINANT * total:
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
    """Actions shown more often than their propensities allow, where only the shown propensity p is known.

    Over the impressions E at which an action is eligible, E[sum of 1/p over those that showed it] <= |E|, for it is the
    number of them at which the action has a chance at all. The sum's variance, sum over E of (1/p - 1), is estimated
    by the sum of (1/p^2 - 1/p) over those that showed it; as both sums rise with the rows shown, a sum that is high by
    chance is not taken for surprising. Bonferroni over the actions, and one test of all actions together.
    """
    size = len(log.action_names)
    shown = log.logged[eligible[log.logged]]
    propensity = log.propensity[eligible[log.logged]]
    code = log.action[shown]
    most = np.bincount(log.action[eligible], minlength=size).astype(float)
    inverse = np.bincount(code, 1 / propensity, size)
    variance = np.bincount(code, 1 / propensity**2 - 1 / propensity, size)
    rounded = np.bincount(code, rounding.error(propensity) / propensity**2, size)
    gap, spent = np.append(inverse - most, (inverse - most).sum()), int((most > 0).sum()) + 1
    noise = np.sqrt(np.append(variance + rounded**2, variance.sum() + rounded.sum() ** 2) + 1.0)
    surprise = gap / noise
    needed = _quantile(ALPHA / spent)
    wrong = surprise > needed
    if not wrong.any():
        kept = Finding("propensity_bound", "ok", "no action was shown more often than its propensities allow")
        return kept, _unchecked(needed, noise[-1], float(most.sum()), len(shown), log.n)
    order = [it for it in np.argsort(-surprise[:size], kind="stable")[:NAMED] if wrong[it]]
    words = "; ".join(_too_often(log, it, shown, most[it], inverse[it]) for it in order)
    words = words or f"1/propensity sums to {inverse.sum():,.0f} over all rows and can be at most {most.sum():,.0f}"
    share = float(wrong[:size].sum() / max(spent - 1, 1))
    told = f"actions were shown more often than their propensities allow: {words}"
    return (Finding("propensity_bound", "critical", f"{told}; the propensities are not those that acted", share),)


def _too_often(log: LoggedDecisions, code: int, shown: np.ndarray, most: float, inverse: float) -> str:
    rows = log.action[shown] == code
    stated = log.propensity[np.isin(log.logged, shown[rows])]
    low, high = float(stated.min()), float(stated.max())
    claimed = f"{low:.3g}" if high - low <= 1e-6 * high else f"{low:.3g} to {high:.3g}"
    return (
        f"{log.action_names[code]} in {rows.sum() / most:.1%} of the {most:,.0f} impressions at which it was eligible, "
        f"with a propensity of {claimed} (its 1/propensity sums to {inverse:,.0f}, which can be at most {most:,.0f} "
        "beyond chance)"
    )


def _unchecked(needed: float, noise: float, most: float, shown: int, n: int) -> Finding:
    """What the one-sided check cannot see: the whole of it where chance alone could explain a large error."""
    ask = "log every eligible action's propensity (in a run: the table candidates) to have them checked"
    if shown < 0.05 * n or needed * noise > BLIND * most:
        words = f"nothing in the log can check its propensities, so the estimates take them on trust; {ask}"
    else:
        words = (
            "propensities could be checked in one direction only, for the log has that of the shown action alone: "
            f"those that are too low overall would have been seen, those that are too high for some would not; {ask}"
        )
    return Finding("propensity_unchecked", "notice", words)


def _overlap(log: LoggedDecisions, target: np.ndarray) -> Finding:
    share = effective_sample_size(log.weight(target)) / log.n
    words = f"the target's effective sample size is {share:.1%} of the log"
    return Finding("overlap", "notice" if share < 0.1 else "ok", words, share)


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
    """A finding about single rows: any at all is critical."""
    if not wrong.any():
        return Finding(kind, "ok", f"no impressions {what}")
    example = log.impression[wrong][:3].tolist()
    return Finding(kind, "critical", f"{int(wrong.sum()):,} impressions {what}, such as {example}", float(wrong.mean()))
