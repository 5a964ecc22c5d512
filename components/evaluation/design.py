"""What the reward models see: context of the impression, features of the action, and features of the pair."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluation.log import LoggedDecisions
from components.policy.ragged import row_counts, spread

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
    shoppers = int(log.cluster.max()) + 1
    fold = np.random.default_rng([seed, 2]).permutation(shoppers) % folds
    return Design(
        context=_standardised(log.context),
        action=_standardised(features),
        pair=_standardised(pairs),
        reward=(log.reward - low) / (high - low),
        fold=fold[log.cluster],
        log=log,
    )


def _log_relative(policy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """log of the policy relative to choosing alike, floored so that never-chosen actions stay finite."""
    return np.log(np.maximum(policy * spread(row_counts(offsets), offsets), 1e-3))


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1; those that never vary are dropped."""
    deviation = columns.std(axis=0) if len(columns) else np.zeros(columns.shape[1])
    varying = deviation > 1e-12
    kept = columns[:, varying]
    return (kept - kept.mean(axis=0)) / deviation[varying] if varying.any() else kept
