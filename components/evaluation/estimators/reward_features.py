"""The inputs of the reward models: context of the impression, features of the action, features of the pair."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_counts, spread

EDGE = 1e-6  # scores are clipped to [EDGE, 1 - EDGE] before the logit


@dataclass(frozen=True)
class Design:
    """The standardised inputs of one log: p context, k action and s pair features."""

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
        blocks = [np.ones((self.log.n, 1)), self.context, self.action[self.logged_action], self.pair[self.log.logged]]
        return np.column_stack(blocks)


def design(log: LoggedDecisions, policies: tuple[np.ndarray, ...], folds: int, seed: int) -> Design:
    """The inputs of the reward models for estimating `policies` (float64 [n_pairs] each) on `log`.

    Rows without consent (`log.consent`) affect no fold, mean or deviation of the others.

    The policies' log-probabilities are pair features: a model that has them cannot be wrong on average in the direction
    of the policy (the balancing idea of targeted learning, van der Laan 2006).
    """
    low, high = log.reward_range
    pair = [_log_relative(policy, log.offsets) for policy in policies]
    if log.score is not None:
        clipped = np.clip(log.score, EDGE, 1 - EDGE)
        pair.append(np.log(clipped) - np.log1p(-clipped))
    features = log.action_features if log.action_features is not None else np.zeros((len(log.action_names), 0))
    pairs = np.column_stack(pair) if pair else np.zeros((len(log.action), 0))
    return Design(
        context=_standardised(log.context, log.consenting),
        action=_standardised(features, np.ones(len(features), dtype=bool)),
        pair=_standardised(pairs, spread(log.consenting, log.offsets)),
        reward=(log.reward - low) / (high - low),
        fold=_folds(log, folds, seed),
        log=log,
    )


def _log_relative(policy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The logarithm of the policy over the uniform policy, floored so that probability 0 stays finite."""
    return np.log(np.maximum(policy * spread(row_counts(offsets), offsets), 1e-3))


def _folds(log: LoggedDecisions, folds: int, seed: int) -> np.ndarray:
    """The fold of each row's shopper: int64 [n]. Shoppers without consent get folds in turn, the others at random."""
    clusters = int(log.cluster.max()) + 1
    consenting = np.zeros(clusters, dtype=bool)
    consenting[log.cluster[log.consenting]] = True
    fold = np.arange(clusters) % folds
    fold[consenting] = np.random.default_rng([seed, 2]).permutation(int(consenting.sum())) % folds
    return fold[log.cluster]


def _standardised(columns: np.ndarray, consenting: np.ndarray) -> np.ndarray:
    """The columns with mean 0 and deviation 1 over the `consenting` rows, without those that are constant there."""
    known = columns if consenting.all() else columns[consenting]
    deviation = known.std(axis=0) if len(known) else np.zeros(columns.shape[1])
    varying = deviation > 1e-12
    if not varying.any():
        return columns[:, varying]
    return (columns[:, varying] - known[:, varying].mean(axis=0)) / deviation[varying]
