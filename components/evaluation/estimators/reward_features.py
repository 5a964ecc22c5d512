"""What the reward models see: context of the impression, features of the action, and features of the pair."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_counts, spread

EDGE = 1e-6  # a score or a probability of 0 has no logarithm


@dataclass(frozen=True)
class Design:
    """Standardised inputs of the reward models, one log; p context, k action and s pair features."""

    context: np.ndarray  # float64 [n, p]
    action: np.ndarray  # float64 [m, k]
    pair: np.ndarray  # float64 [n_pairs, s]
    reward: np.ndarray  # float64 [n], scaled to [0, 1]
    fold: np.ndarray  # int64 [n]: rows of one shopper share a fold
    log: LoggedDecisions

    @property
    def logged_action(self) -> np.ndarray:
        """Code of the shown action: int64 [n]."""
        return self.log.action[self.log.logged]

    @cached_property
    def logged_rows(self) -> np.ndarray:
        """Features of the shown pairs, an intercept first: float64 [n, 1 + p + k + s]."""
        parts = [np.ones((self.log.n, 1)), self.context, self.action[self.logged_action], self.pair[self.log.logged]]
        return np.column_stack(parts)


def design(log: LoggedDecisions, policies: tuple[np.ndarray, ...], folds: int, seed: int) -> Design:
    """A log and the policies to be judged on it -> inputs of the reward models.

    Rows that teach nothing (`log.teaches`) move neither a fold nor a mean nor a deviation.

    The policies' own log-probabilities are pair features: they say where each policy goes, so a model that has them
    cannot be wrong on average in that direction (the balancing idea of targeted learning, van der Laan 2006).
    """
    low, high = log.reward_range
    pair = [_log_relative(policy, log.offsets) for policy in policies]
    if log.score is not None:
        clipped = np.clip(log.score, EDGE, 1 - EDGE)
        pair.append(np.log(clipped) - np.log1p(-clipped))
    features = log.action_features if log.action_features is not None else np.zeros((len(log.action_names), 0))
    pairs = np.column_stack(pair) if pair else np.zeros((len(log.action), 0))
    return Design(
        context=_standardised(log.context, log.taught),
        action=_standardised(features, np.ones(len(features), dtype=bool)),
        pair=_standardised(pairs, spread(log.taught, log.offsets)),
        reward=(log.reward - low) / (high - low),
        fold=_folds(log, folds, seed),
        log=log,
    )


def _log_relative(policy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """log of the policy relative to choosing alike, floored so that never-chosen actions stay finite."""
    return np.log(np.maximum(policy * spread(row_counts(offsets), offsets), 1e-3))


def _folds(log: LoggedDecisions, folds: int, seed: int) -> np.ndarray:
    """A fold of each row's shopper: int64 [n]. Shoppers who teach nothing are dealt after the others, in turn."""
    clusters = int(log.cluster.max()) + 1
    taught = np.zeros(clusters, dtype=bool)
    taught[log.cluster[log.taught]] = True
    fold = np.arange(clusters) % folds
    fold[taught] = np.random.default_rng([seed, 2]).permutation(int(taught.sum())) % folds
    return fold[log.cluster]


def _standardised(columns: np.ndarray, taught: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1 over the `taught` rows; those that never vary there are dropped."""
    known = columns if taught.all() else columns[taught]
    deviation = known.std(axis=0) if len(known) else np.zeros(columns.shape[1])
    varying = deviation > 1e-12
    kept = columns[:, varying]
    return (kept - known[:, varying].mean(axis=0)) / deviation[varying] if varying.any() else kept
