"""Is the log what it says it is? Checks to make before any estimate, each with a severity and words for a person.

What was shown is compared with the logging distribution that the log itself reports: given the contexts, how often each
action is shown has a known mean and a known variance, so every test below is exact up to the normal approximation. A
`critical` finding makes the evaluation abstain.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.evaluation.estimators import effective_sample_size
from components.evaluation.log import LoggedDecisions
from components.policy.ragged import row_sums, spread

Severity = Literal["ok", "notice", "critical", "inconclusive"]

ALPHA = 5e-4  # per test; a clean log raises a false alarm in well under 1 % of cases over all tests together
SUM_TOLERANCE = 1e-5
DOMINANT = 0.05  # one row with more of the sum of weights makes a test of their mean meaningless
PROPENSITY_BINS = 20


@dataclass(frozen=True)
class Finding:
    """What one check saw. `share` is the share of rows or actions concerned, in [0, 1]."""

    kind: str
    severity: Severity
    words: str
    share: float = 0.0


def check_propensities(log: LoggedDecisions) -> tuple[Finding, ...]:
    """All checks that need the log alone; those that need the whole logging distribution only where it is known."""
    found = [_in_range(log)]
    if found[0].severity == "critical":
        return tuple(found)
    if log.logging is not None:
        found += [_sums(log), _agrees(log)]
        if any(it.severity == "critical" for it in found):
            return tuple(found)
        found += [_calibration(log), _sample_ratio(log), _support(log), _inverse_propensities(log)]
    return tuple(found)


def check_weights(log: LoggedDecisions, target: np.ndarray) -> tuple[Finding, ...]:
    """Checks of the importance weights of `target` [n_pairs], which the log must cover."""
    return _mean_weight(log, target), _overlap(log, target)


def _in_range(log: LoggedDecisions) -> Finding:
    wrong = ~(np.isfinite(log.propensity) & (log.propensity > 0) & (log.propensity <= 1))
    return _rows("propensity_range", wrong, log, "have a propensity that is not in (0, 1]")


def _sums(log: LoggedDecisions) -> Finding:
    wrong = np.abs(row_sums(log.logging, log.offsets) - 1) > SUM_TOLERANCE
    return _rows("propensity_sum", wrong, log, "have candidates whose propensities do not sum to 1")


def _agrees(log: LoggedDecisions) -> Finding:
    wrong = np.abs(log.logging[log.logged] - log.propensity) > SUM_TOLERANCE
    return _rows("propensity_mismatch", wrong, log, "have a propensity other than their candidates' for what was shown")


def _calibration(log: LoggedDecisions) -> Finding:
    """Observed against stated frequency within bins of the propensity: a policy that was logged wrongly shows here."""
    edges = np.unique(np.quantile(log.logging, np.linspace(0, 1, PROPENSITY_BINS + 1)[1:-1]))
    group = np.searchsorted(edges, log.logging, side="right")
    chance = _share_test(log, group)
    words = "propensities agree with how often actions of such propensity were shown"
    if chance < ALPHA:
        words = f"actions were not shown as often as their propensities say (chance of such a gap: {chance:.1g})"
    return Finding("propensity_calibration", "critical" if chance < ALPHA else "ok", words)


def _sample_ratio(log: LoggedDecisions) -> Finding:
    """Shown against expected count of each action (sample-ratio mismatch): lost or doubled rows of some arms."""
    chance = _share_test(log, log.action)
    shown = np.bincount(log.action[log.logged], minlength=len(log.action_names))
    expected = np.bincount(log.action, log.logging, len(log.action_names))
    worst = int(np.argmax(np.abs(shown - expected) / np.sqrt(np.maximum(expected, 1.0))))
    words = "every action was shown about as often as the propensities say"
    if chance < ALPHA:
        words = (
            f"actions were not shown as often as the propensities say, such as {log.action_names[worst]}: "
            f"{shown[worst]:,} times, {expected[worst]:,.0f} expected (chance: {chance:.1g}); rows may be lost"
        )
    return Finding("sample_ratio", "critical" if chance < ALPHA else "ok", words)


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


def _inverse_propensities(log: LoggedDecisions) -> Finding:
    """The mean of 1 / (k propensity) over the log is 1 where all k eligible actions have a chance."""
    eligible = (log.logging > 0).astype(float)
    alike = eligible / spread(row_sums(eligible, log.offsets), log.offsets)
    return _weight_test("inverse_propensity", "inverse propensities", log, alike)


def _mean_weight(log: LoggedDecisions, target: np.ndarray) -> Finding:
    """The mean importance weight of any policy is 1 (the control variate of Swaminathan and Joachims 2015)."""
    return _weight_test("mean_weight", "importance weights", log, target)


def _weight_test(kind: str, what: str, log: LoggedDecisions, policy: np.ndarray) -> Finding:
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
    gap = (total - expected) / np.sqrt(max(variance, 1e-12))
    chance = _two_sided(gap)
    mean = total / log.n
    if chance >= ALPHA:
        return Finding(kind, "ok", f"the mean of the {what} is {mean:.3f}, as it should be")
    return Finding(kind, "critical", f"the mean of the {what} is {mean:.3f} and should be 1 (chance: {chance:.1g})")


def _overlap(log: LoggedDecisions, target: np.ndarray) -> Finding:
    share = effective_sample_size(log.weight(target)) / log.n
    words = f"the target's effective sample size is {share:.1%} of the log"
    return Finding("overlap", "notice" if share < 0.1 else "ok", words, share)


def _share_test(log: LoggedDecisions, group: np.ndarray) -> float:
    """Chance of counts per `group` (int64 [n_pairs]) as far from their expectation as these: chi-squared.

    Given the contexts, counts have mean sum_i p_i and covariance sum_i (diag(p_i) - p_i p_i'), p_i being impression i's
    probability of each group. Groups expected too seldom for the approximation are pooled.
    """
    from scipy.stats import chi2

    group = _pooled(group, log.logging)
    size = int(group.max()) + 1
    if size < 2:
        return 1.0
    row = spread(np.arange(log.n), log.offsets)
    key, place = np.unique(row * size + group, return_inverse=True)
    mass = np.bincount(place, log.logging)  # of each (impression, group)
    owner, member = key // size, key % size
    covariance = np.diag(np.bincount(member, mass, size)) - _crossed(owner, member, mass, size)
    gap = np.bincount(group[log.logged], minlength=size) - np.bincount(member, mass, size)
    values, vectors = np.linalg.eigh(covariance)
    used = values > 1e-9 * max(values.max(), 1e-300)
    if not used.any():
        return 1.0
    statistic = float((((vectors.T @ gap)[used]) ** 2 / values[used]).sum())
    return float(chi2.sf(statistic, int(used.sum())))


def _crossed(owner: np.ndarray, member: np.ndarray, mass: np.ndarray, size: int) -> np.ndarray:
    """sum_i p_i p_i': float64 [size, size], by a sparse product."""
    from scipy.sparse import csr_matrix

    table = csr_matrix((mass, (owner, member)), shape=(int(owner.max()) + 1, size))
    return np.asarray((table.T @ table).todense())


def _pooled(group: np.ndarray, logging: np.ndarray, fewest: float = 20.0) -> np.ndarray:
    """Groups from 0 without gaps; those expected less than `fewest` times are one."""
    code = np.unique(group, return_inverse=True)[1]
    rare = np.bincount(code, logging) < fewest
    merged = np.where(rare, len(rare), np.arange(len(rare)))
    return np.unique(merged[code], return_inverse=True)[1]


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))


def _rows(kind: str, wrong: np.ndarray, log: LoggedDecisions, what: str) -> Finding:
    """A finding about single rows: any at all is critical."""
    if not wrong.any():
        return Finding(kind, "ok", f"no impressions {what}")
    example = log.impression[wrong][:3].tolist()
    return Finding(kind, "critical", f"{int(wrong.sum()):,} impressions {what}, such as {example}", float(wrong.mean()))
