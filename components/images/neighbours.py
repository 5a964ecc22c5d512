"""Nearest neighbours and near-duplicates by Euclidean distance, computed in blocks that fit the cache."""

import numpy as np

BLOCK = 2048


def nearest(queries: np.ndarray, references: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(row numbers int64 [m, count], distances float64 [m, count]) of each query's nearest references, nearest first.

    queries: float [m, d]; references: float [n, d]. Distances are Euclidean, in the units of the inputs. Candidates are
    ranked by a float32 matrix product; the distances of the selected ones are computed in float64 from the differences,
    because |a|^2 - 2ab + |b|^2 cancels where a is near b.
    """
    count = min(count, len(references))
    table = np.ascontiguousarray(references, dtype=np.float32)
    squares = np.einsum("nd,nd->n", table, table)
    indices = np.empty((len(queries), count), dtype=np.int64)
    distances = np.empty((len(queries), count), dtype=np.float64)
    for start in range(0, len(queries), BLOCK):
        block = np.asarray(queries[start : start + BLOCK], dtype=np.float32)
        scores = block @ table.T  # (block, n)
        scores *= -2.0
        scores += squares  # the query's own square is left out: it changes no rank
        chosen = _smallest(scores, count)
        gaps = references[chosen].astype(np.float64) - queries[start : start + BLOCK, None].astype(np.float64)
        exact = np.sqrt(np.einsum("mkd,mkd->mk", gaps, gaps))
        order = np.lexsort((chosen, exact), axis=1)
        indices[start : start + BLOCK] = np.take_along_axis(chosen, order, axis=1)
        distances[start : start + BLOCK] = np.take_along_axis(exact, order, axis=1)
    return indices, distances


def _smallest(scores: np.ndarray, count: int) -> np.ndarray:
    """float [m, n] -> int64 [m, count]: columns of each row's `count` smallest; may overwrite `scores`."""
    if count > 2:
        return np.argpartition(scores, count - 1, axis=1)[:, :count]
    first = scores.argmin(axis=1, keepdims=True)  # one pass, where a partition writes an index of the whole block
    if count == 1:
        return first
    np.put_along_axis(scores, first, np.inf, axis=1)
    return np.concatenate([first, scores.argmin(axis=1, keepdims=True)], axis=1)


def first_duplicates(embeddings: np.ndarray, threshold: float) -> np.ndarray:
    """int64 [n]: for each row of float [n, d], the first earlier unique row within `threshold`; -1: the row is unique.

    Rows are compared in order and with unique rows only, so a chain of small changes does not become one duplicate.
    """
    duplicates = np.full(len(embeddings), -1, dtype=np.int64)
    points = np.asarray(embeddings, dtype=np.float64)
    squares = np.einsum("nd,nd->n", points, points)
    unique = np.empty(len(points), dtype=np.int64)
    count = 0
    for row in range(len(points)):
        earlier = unique[:count]
        squared = squares[earlier] + squares[row] - 2.0 * (points[earlier] @ points[row])
        close = np.flatnonzero(squared <= threshold**2)
        if close.size:
            duplicates[row] = earlier[close[0]]
        else:
            unique[count] = row
            count += 1
    return duplicates
