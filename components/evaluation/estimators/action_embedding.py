"""Marginal importance weights: of what an action is like, instead of which one it is (Saito and Joachims 2022, eq. 5).

    w(x, e) = sum_{a: e(a) = e} pi(a|x) / sum_{a: e(a) = e} pi_0(a|x)

Actions with equal features share an embedding; where hardly any do, actions are grouped by k-means on their features.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_sums, spread

FEW = 0.7  # more distinct feature rows than this share of the actions say too little in common: group them


@dataclass(frozen=True)
class Embedding:
    """Group of every action, and the logging probabilities by which groups are weighed."""

    group: np.ndarray  # int64 [m]
    logging: np.ndarray  # float64 [n_pairs], sums to 1 per impression
    estimated: bool  # whether `logging` had to be estimated from the shares of the rows that teach


def embed(log: LoggedDecisions, seed: int) -> Embedding | None:
    """Groups of the log's actions; None where they have no features, or none that tells an impression's actions apart.

    With one group in every impression all weights are 1, whatever the policy: certain, and of nothing.
    """
    if log.action_features is None or len(log.action_names) < 2:
        return None
    group = np.unique(log.action_features, axis=0, return_inverse=True)[1].ravel()
    if group.max() + 1 > FEW * len(group):
        group = _grouped(log.action_features, seed)
    of_pair = group[log.action]
    if np.array_equal(of_pair, spread(of_pair[log.logged], log.offsets)):
        return None
    if log.logging is not None:
        return Embedding(group, log.logging, estimated=False)
    shown = np.bincount(log.action[log.logged[log.taught]], minlength=len(log.action_names)).astype(float)
    share = shown[log.action]
    total = spread(row_sums(share, log.offsets), log.offsets)
    return Embedding(group, np.divide(share, total, out=np.zeros_like(share), where=total > 0), estimated=True)


def marginal_weight(log: LoggedDecisions, embedding: Embedding, policy: np.ndarray) -> np.ndarray:
    """Weight of the shown action's group under `policy` [n_pairs]: float64 [n].

    A group that only rows that teach nothing show has no estimated share; its weight is the shown action's own.
    """
    group = embedding.group[log.action]
    alike = group == spread(group[log.logged], log.offsets)
    wanted = row_sums(policy * alike, log.offsets)
    given = row_sums(embedding.logging * alike, log.offsets)
    return np.divide(wanted, given, out=log.weight(policy), where=given > 0)


def _grouped(features: np.ndarray, seed: int) -> np.ndarray:
    """About the square root of the actions' number of groups, by k-means on standardised features: int64 [m]."""
    from scipy.cluster.vq import kmeans2

    deviation = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    size = max(2, round(np.sqrt(len(features))))
    return kmeans2(scaled, size, minit="++", seed=seed, missing="warn")[1].astype(np.int64)
