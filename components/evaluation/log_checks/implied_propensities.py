"""The whole logging distribution, where the propensities of what was shown give it away.

A policy that ignores contexts shows each action of one action set with one constant propensity. So where all rows of an
action set agree on one propensity per action, and those sum to 1, the set's whole distribution is known, and what was
shown can be compared with it on both sides.
"""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.log_checks.rounding import Rounding
from components.evaluation.logged_decisions import LoggedDecisions, pairs_of
from components.policies.ragged_rows import row_sums, spread

ENOUGH = 0.5  # share of the impressions whose distribution must be known
FEWEST = 20.0  # expected rows of every action of a set: then an action that was not shown was hardly so by chance
TOLERANCE = 1e-5
MOST_ROUNDED = 0.1


def implied_logging(log: LoggedDecisions, rounding: Rounding) -> LoggedDecisions | None:
    """The part of a log whose distribution is implied, with it as `logging`; None where that is too small a part.

    All pairs of `log` must be eligible whatever was shown. A set of k actions that were all shown with 1 / k is known
    to be uniform however few its rows are; any other must have rows enough for each of its actions, for which sets are
    known must not depend on what was shown by chance.
    """
    logging = _by_set(log, rounding)
    known = np.flatnonzero(row_sums(np.isfinite(logging).astype(float), log.offsets) == np.diff(log.offsets))
    if len(known) < ENOUGH * log.n or (np.diff(log.offsets)[known] < 2).all():
        return None
    return replace(log.rows(known), logging=logging[pairs_of(log.offsets, known)])


@dataclass(frozen=True)
class _Members:
    """Every (action set, action) there is, k of them in `sets` sets, and what was shown of it."""

    sets: int
    impressions: np.ndarray  # int64 [sets]
    owner: np.ndarray  # int64 [k], the set
    place: np.ndarray  # int64 [n_pairs], the member of each pair
    rows: np.ndarray  # int64 [k], how often it was shown
    stated: np.ndarray  # float64 [k], its mean propensity; 0 where it was never shown

    def per_set(self, values: np.ndarray) -> np.ndarray:
        """Sum over each set: [k] -> float64 [sets]."""
        return np.bincount(self.owner, values, self.sets)


def _by_set(log: LoggedDecisions, rounding: Rounding) -> np.ndarray:
    """Each pair's probability under its set's distribution, NaN where that is not known: float64 [n_pairs]."""
    it = _members(log)
    error = rounding.error(it.stated) + 1e-6 * it.stated
    shown = it.place[log.logged]
    far = np.abs(log.propensity - it.stated[shown]) > error[shown]
    constant = np.bincount(it.owner[shown], far, it.sets) == 0
    alike = 1 / it.per_set(np.ones_like(it.stated))[it.owner]
    differs = (it.rows > 0) & (np.abs(it.stated - alike) > error + TOLERANCE * alike)
    uniform = constant & (it.per_set(differs) == 0)
    filled, complete = _completed(it, error)
    least = np.full(it.sets, np.inf)
    np.minimum.at(least, it.owner, np.where(filled > 0, filled, np.inf))
    known = uniform | (constant & complete & (least * it.impressions >= FEWEST))
    filled = np.where(uniform[it.owner], alike, filled)
    filled = filled / np.where(known, it.per_set(filled), 1.0)[it.owner]
    return np.where(known[it.owner], filled, np.nan)[it.place]


def _completed(it: _Members, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each member was shown with [k], and whether each set's members sum to 1, up to rounding: bool [sets].

    Where one member was never shown, it has what the others leave.
    """
    total, unseen = it.per_set(it.stated), it.per_set(it.rows == 0)
    slack = TOLERANCE + np.minimum(it.per_set(error), MOST_ROUNDED)
    rest = np.where(total > 1 - slack, 0.0, 1 - total)
    filled = np.where(it.rows > 0, it.stated, rest[it.owner])
    return filled, (total <= 1 + slack) & ((rest == 0) | (unseen == 1))


def _members(log: LoggedDecisions) -> _Members:
    owner, m = _action_sets(log), len(log.action_names)
    keys, place = np.unique(spread(owner, log.offsets) * m + log.action, return_inverse=True)
    rows = np.bincount(place[log.logged], minlength=len(keys))
    stated = np.bincount(place[log.logged], log.propensity, len(keys)) / np.maximum(rows, 1)
    sets = int(owner.max()) + 1
    return _Members(sets, np.bincount(owner, minlength=sets), keys // m, place, rows, stated)


def _action_sets(log: LoggedDecisions) -> np.ndarray:
    """Code of each impression's set of actions, whatever their order: int64 [n]."""
    mark = np.random.default_rng(0).integers(1, 2**62, len(log.action_names), dtype=np.int64).astype(np.uint64)
    total = np.add.reduceat(mark[log.action], log.offsets[:-1])  # wraps around: a sum modulo 2^64
    return np.unique(total, return_inverse=True)[1]
