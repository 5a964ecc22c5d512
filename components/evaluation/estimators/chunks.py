"""Estimates and intervals of a log too large for memory, read once in chunks.

Every estimate is a function of sums over shoppers, so only the sums of a few thousand bags of shoppers are held in
memory. Rewards are predicted by a model fitted elsewhere; shrinkage is tuned on the first chunk.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from components.evaluation.estimators.estimators import ESTIMATORS, WeightedRows
from components.evaluation.estimators.shrinkage import tune
from components.evaluation.intervals.resampling import MAX_BAGS, Interval, Ratios, bootstrap
from components.evaluation.logged_decisions import LoggedDecisions


@dataclass(frozen=True)
class Chunk:
    """Some impressions of a log, with the target's probability and the predicted reward of each pair [n_pairs].

    `log.cluster` must give a shopper the same code in every chunk.
    """

    log: LoggedDecisions
    target: np.ndarray
    predicted: np.ndarray


def evaluate_chunks(chunks: Iterable[Chunk], replicates: int, seed: int) -> dict[str, Interval]:
    """Every streamable estimator's value and bootstrap interval over all chunks, with one chunk in memory at a time."""
    estimators = {name: estimator for name, estimator in ESTIMATORS.items() if estimator.streamable}
    sums: dict[str, np.ndarray] = {}
    shrinkage: dict[str, float] = {}
    for chunk in chunks:
        rows = _rows(chunk)
        bag = _bag(chunk.log.cluster, seed)
        for name, estimator in estimators.items():
            if name not in shrinkage:
                shrinkage[name], sums[name] = tune(name, rows), np.zeros((4, MAX_BAGS))
            terms = estimator(rows, shrinkage[name])
            columns = (terms.direct, np.ones_like(terms.direct), terms.residual, terms.mass)
            sums[name] += np.stack([np.bincount(bag, column, MAX_BAGS) for column in columns])
    quantities = {
        name: Ratios(((1.0, direct, ones), (1.0, residual, mass)))
        for name, (direct, ones, residual, mass) in sums.items()
    }
    return bootstrap(quantities, np.arange(MAX_BAGS), replicates, seed)


def _rows(chunk: Chunk) -> WeightedRows:
    log = chunk.log
    return WeightedRows(
        weight=log.weight(chunk.target),
        reward=log.reward,
        predicted=chunk.predicted[log.logged],
        predicted_target=log.expected(chunk.predicted, chunk.target),
    )


def _bag(cluster: np.ndarray, seed: int) -> np.ndarray:
    """The bag of each row's shopper, the same in every chunk, by multiplicative hashing (Knuth 6.4): int64 [n]."""
    hashed = (cluster.astype(np.uint64) + np.uint64(seed) + np.uint64(1)) * np.uint64(11400714819323198485)
    return (hashed >> np.uint64(65 - MAX_BAGS.bit_length())).astype(np.int64)  # MAX_BAGS is a power of two
