"""The whole logging distribution, where the propensities of what was shown give it away.

A policy that ignores contexts shows each action of one action set with one constant propensity. So where all rows of an
action set agree on one propensity per action, and those sum to 1, the set's whole distribution is known, and what was
shown can be compared with it on both sides.
"""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.log import LoggedDecisions, pairs_of
from components.evaluation.rounding import Rounding
from components.policy.ragged import row_sums, spread

ENOUGH = 0.5  # share of the impressions whose distribution must be known
FEWEST = 20.0  # expected rows of every action of a set: then an action that was not shown was hardly so by chance
TOLERANCE = 1e-5
MOST_ROUNDED = 0.1


@dataclass(frozen=True)
class Implied:
    """The impressions whose logging distribution is implied; `log.logging` holds it."""

    log: LoggedDecisions


def implied_logging(log: LoggedDecisions, rounding: Rounding) -> Implied | None:
    """The part of a log without `logging` whose distribution is implied; None where it is too small a part.

    All pairs of `log` must be eligible whatever was shown. A set of k actions that were all shown with 1 / k is known
    to be uniform however few its rows are; any other must have rows enough for each of its actions, for which sets are
    known must not depend on what was shown by chance.
    """
    owner = _action_sets(log)
    logging = _by_set(log, owner, rounding)
    known = np.flatnonzero(row_sums(np.isfinite(logging).astype(float), log.offsets) == np.diff(log.offsets))
    if len(known) < ENOUGH * log.n or (np.diff(log.offsets)[known] < 2).all():
        return None
    pair = pairs_of(log.offsets, known)
    return Implied(replace(log.rows(known), logging=logging[pair]))


def _action_sets(log: LoggedDecisions) -> np.ndarray:
    """Code of each impression's set of actions, whatever their order: int64 [n]."""
    mark = np.random.default_rng(0).integers(1, 2**62, len(log.action_names), dtype=np.int64).astype(np.uint64)
    total = np.add.reduceat(mark[log.action], log.offsets[:-1])  # wraps around: a sum modulo 2^64
    return np.unique(total, return_inverse=True)[1]


def _by_set(log: LoggedDecisions, owner: np.ndarray, rounding: Rounding) -> np.ndarray:
    """Each pair's probability under its set's distribution, NaN where that is not known: float64 [n_pairs]."""
    sets, m = int(owner.max()) + 1, len(log.action_names)
    pair_key = spread(owner, log.offsets) * m + log.action
    keys, place = np.unique(pair_key, return_inverse=True)  # every (set, action) there is
    shown = place[log.logged]
    rows, stated = np.bincount(shown, minlength=len(keys)), np.bincount(shown, log.propensity, len(keys))
    constant = np.divide(stated, rows, out=np.full(len(keys), np.nan), where=rows > 0)
    error = rounding.error(np.nan_to_num(constant)) + 1e-6 * np.nan_to_num(constant)
    far = np.abs(log.propensity - constant[shown]) > error[shown]
    member, impressions = keys // m, np.bincount(owner, minlength=sets)
    varies = np.bincount(owner, far, sets) > 0
    size = np.bincount(member, minlength=sets)
    differs = (rows > 0) & (np.abs(np.nan_to_num(constant) - 1 / size[member]) > error + TOLERANCE / size[member])
    uniform = ~varies & (np.bincount(member, differs, sets) == 0)
    total = np.bincount(member, np.nan_to_num(constant), sets)
    unseen = np.bincount(member, rows == 0, sets)
    slack = TOLERANCE + np.minimum(np.bincount(member, error, sets), MOST_ROUNDED)
    rest = np.where(total > 1 - slack, 0.0, 1 - total)
    filled = np.where(rows > 0, np.nan_to_num(constant), (rest / np.maximum(unseen, 1))[member])
    least = np.full(sets, np.inf)
    np.minimum.at(least, member, np.where(filled > 0, filled, np.inf))
    told = (total <= 1 + slack) & ((rest == 0) | (unseen == 1)) & (least * impressions >= FEWEST)
    told = uniform | (~varies & told)
    filled = np.where(uniform[member], 1 / size[member], filled)
    filled = filled / np.bincount(member, filled, sets)[member]
    return np.where(told[member], filled, np.nan)[place]
