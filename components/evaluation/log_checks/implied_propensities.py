"""The whole logging distribution, if it follows from the propensities of the shown actions.

A policy that ignores contexts shows each action of an action set with a constant propensity. So if all rows of an
action set agree on one propensity per action, and those sum to 1, the set's whole distribution is known, and a
two-sided test can compare the shown actions with it.
"""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.log_checks.rounding import Rounding
from components.evaluation.logged_decisions import LoggedDecisions, pairs_of
from components.policies.ragged_rows import row_sums, spread

MIN_KNOWN_SHARE = 0.5  # of the impressions, whose distribution must be known
MIN_EXPECTED = 20.0  # expected rows of each action of a set, so that hardly any is never shown by chance
TOLERANCE = 1e-5
MAX_ROUNDING = 0.1


def implied_logging(log: LoggedDecisions, rounding: Rounding) -> LoggedDecisions | None:
    """The rows of `log` whose distribution is implied, with it as `logging`; None if they are too few.

    All pairs of `log` must be eligible whatever was shown. A set of k actions that were all shown with propensity 1 / k
    is uniform, however few its rows. Any other set needs enough rows of each action; otherwise chance would decide
    which sets are known.
    """
    logging = _by_set(log, rounding)
    known = np.flatnonzero(row_sums(np.isfinite(logging).astype(float), log.offsets) == np.diff(log.offsets))
    if len(known) < MIN_KNOWN_SHARE * log.n or (np.diff(log.offsets)[known] < 2).all():
        return None
    return replace(log.rows(known), logging=logging[pairs_of(log.offsets, known)])


@dataclass(frozen=True)
class _Members:
    """The members of all action sets: k pairs (set, action), and how each was shown."""

    sets: int  # number of sets
    impressions: np.ndarray  # int64 [sets]
    member_set: np.ndarray  # int64 [k], the member's set
    pair_member: np.ndarray  # int64 [n_pairs], the pair's member
    rows: np.ndarray  # int64 [k], the number of impressions that showed the member
    stated: np.ndarray  # float64 [k], its mean propensity; 0 if it was never shown

    def per_set(self, values: np.ndarray) -> np.ndarray:
        """The sums of `values` [k] over each set: float64 [sets]."""
        return np.bincount(self.member_set, values, self.sets)


def _by_set(log: LoggedDecisions, rounding: Rounding) -> np.ndarray:
    """Each pair's probability under its set's distribution, NaN if that is unknown: float64 [n_pairs]."""
    members = _members(log)
    member_set, stated = members.member_set, members.stated
    error = rounding.error(stated) + 1e-6 * stated
    shown = members.pair_member[log.logged]
    deviates = np.abs(log.propensity - stated[shown]) > error[shown]
    constant = np.bincount(member_set[shown], deviates, members.sets) == 0
    equal = 1 / members.per_set(np.ones_like(stated))[member_set]
    unequal = (members.rows > 0) & (np.abs(stated - equal) > error + TOLERANCE * equal)
    uniform = constant & (members.per_set(unequal) == 0)
    probability, complete = _completed(members, error)
    smallest = np.full(members.sets, np.inf)
    np.minimum.at(smallest, member_set, np.where(probability > 0, probability, np.inf))
    known = uniform | (constant & complete & (smallest * members.impressions >= MIN_EXPECTED))
    probability = np.where(uniform[member_set], equal, probability)
    probability = probability / np.where(known, members.per_set(probability), 1.0)[member_set]
    return np.where(known[member_set], probability, np.nan)[members.pair_member]


def _completed(members: _Members, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The propensity of each member [k], and whether each set's propensities sum to 1, up to rounding: bool [sets].

    If one member of a set was never shown, its propensity is 1 minus the sum of the others.
    """
    total, never_shown = members.per_set(members.stated), members.per_set(members.rows == 0)
    slack = TOLERANCE + np.minimum(members.per_set(error), MAX_ROUNDING)
    rest = np.where(total > 1 - slack, 0.0, 1 - total)
    probability = np.where(members.rows > 0, members.stated, rest[members.member_set])
    return probability, (total <= 1 + slack) & ((rest == 0) | (never_shown == 1))


def _members(log: LoggedDecisions) -> _Members:
    row_set, m = _action_sets(log), len(log.action_names)
    keys, pair_member = np.unique(spread(row_set, log.offsets) * m + log.action, return_inverse=True)
    rows = np.bincount(pair_member[log.logged], minlength=len(keys))
    stated = np.bincount(pair_member[log.logged], log.propensity, len(keys)) / np.maximum(rows, 1)
    sets = int(row_set.max()) + 1
    return _Members(sets, np.bincount(row_set, minlength=sets), keys // m, pair_member, rows, stated)


def _action_sets(log: LoggedDecisions) -> np.ndarray:
    """Code of each impression's set of actions, whatever their order: int64 [n]. Equal sets have equal hashes."""
    keys = np.random.default_rng(0).integers(1, 2**62, len(log.action_names), dtype=np.int64).astype(np.uint64)
    hashes = np.add.reduceat(keys[log.action], log.offsets[:-1])  # wraps around: a sum modulo 2^64
    return np.unique(hashes, return_inverse=True)[1]
