"""Marginal importance weights: of an action's embedding e, not of the action itself (Saito & Joachims 2022, eq. 5).

    w(x, e) = sum_{a: e(a) = e} pi(a|x) / sum_{a: e(a) = e} pi_0(a|x)

Actions with equal features share an embedding; if few do, actions are grouped by k-means on their features.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_sums, spread

MAX_DISTINCT_SHARE = 0.7  # of the actions; with more distinct feature rows, actions are grouped by k-means


@dataclass(frozen=True)
class Embedding:
    """Group of every action, and the logging probabilities for the groups' weights."""

    group: np.ndarray  # int64 [m]
    logging: np.ndarray  # float64 [n_pairs], sums to 1 per impression
    estimated: bool  # whether `logging` had to be estimated, from the shares of the actions on consenting rows


def embed(log: LoggedDecisions, seed: int) -> Embedding | None:
    """Groups of the log's actions; None without features, or if no impression has actions of two groups.

    With one group per impression all weights would be 1, whatever the policy.
    """
    if log.action_features is None or len(log.action_names) < 2:
        return None
    group = np.unique(log.action_features, axis=0, return_inverse=True)[1].ravel()
    if group.max() + 1 > MAX_DISTINCT_SHARE * len(group):
        group = _clustered(log.action_features, seed)
    pair_group = group[log.action]
    if np.array_equal(pair_group, spread(pair_group[log.logged], log.offsets)):
        return None
    if log.logging is not None:
        return Embedding(group, log.logging, estimated=False)
    shown = np.bincount(log.action[log.logged[log.consenting]], minlength=len(log.action_names)).astype(float)
    share = shown[log.action]
    total = spread(row_sums(share, log.offsets), log.offsets)
    return Embedding(group, np.divide(share, total, out=np.zeros_like(share), where=total > 0), estimated=True)


def marginal_weight(log: LoggedDecisions, embedding: Embedding, policy: np.ndarray) -> np.ndarray:
    """Weight of the shown action's group under `policy` [n_pairs]: float64 [n].

    A group that is shown only on rows without consent has no estimated share; its weight is the shown action's weight.
    """
    group = embedding.group[log.action]
    same_group = group == spread(group[log.logged], log.offsets)
    target = row_sums(policy * same_group, log.offsets)
    logged = row_sums(embedding.logging * same_group, log.offsets)
    return np.divide(target, logged, out=log.weight(policy), where=logged > 0)


def _clustered(features: np.ndarray, seed: int) -> np.ndarray:
    """Each action's cluster, of about sqrt(m), by k-means on standardised features: int64 [m]."""
    from scipy.cluster.vq import kmeans2

    deviation = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    size = max(2, round(np.sqrt(len(features))))
    return kmeans2(scaled, size, minit="++", seed=seed, missing="warn")[1].astype(np.int64)
