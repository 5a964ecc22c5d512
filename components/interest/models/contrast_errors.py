"""Standard errors of a logistic model's log-odds, of each creative against the mean of those of its decision.

With independent posterior variances V of the weights (a diagonal Laplace approximation; Chapelle and Li 2011, "An
empirical evaluation of Thompson sampling", algorithm 3), the log-odds of creative c minus their mean over the creatives
of a decision with features x have the variance

    sum_kl V_kl x_k^2 (z_cl - mean_l)^2       crosses of every column k with every column l
    + V (sum_k x_k (z_ck - mean_k))^2         inner products, which share one weight                              (1)
    + sum_r V_r (v_cr - mean_r)^2             features r of the pair

An error that all creatives of a decision share changes no choice, so it is left out; (1) is then within a few per cent
of what the full covariance of the weights gives. A decision about several impressions (a cell of a decision table) has
their mean x.
"""

from dataclasses import dataclass

import numpy as np

from components.interest.model_protocol import Pairs
from components.interest.models.feature_blocks import ONE
from components.interest.models.pair_design import MATCH, PairMap, Term

DECISIONS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class _Cells:
    """The distinct (decision, creative) of pairs, by decision. decision, creative: int64 [c]; of_pair: int64 [n], the
    cell of each pair; pairs: int64 [c], how many each has; starts: int64 [decisions + 1].
    """

    decision: np.ndarray
    creative: np.ndarray
    of_pair: np.ndarray
    pairs: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, decision: np.ndarray, creative: np.ndarray, creatives: int) -> "_Cells":
        keys, of_pair, pairs = np.unique(decision * creatives + creative, return_inverse=True, return_counts=True)
        place = np.unique(keys // creatives, return_inverse=True)[1]
        return cls(place, keys % creatives, of_pair, pairs, np.searchsorted(place, np.arange(place[-1] + 2)))


def contrast_errors(pair_map: PairMap, variances: np.ndarray, pairs: Pairs, decision: np.ndarray) -> np.ndarray:
    """The square root of (1) for n pairs: float64 [n].

    variances: float64 [d], of the weights of `pair_map`. decision: int64 [n], to which each pair belongs; each of its
    creatives is paired with the same impressions.
    """
    if not len(decision):
        return np.zeros(0)
    cells = _Cells.of(decision, pairs.column, len(pairs.creatives))
    matrices, slopes = pair_map.unfold(variances)
    identities = {block.name: block for block in pair_map.right.codes}
    active = tuple(
        (term, matrix)
        for term, matrix in zip(pair_map.terms, matrices, strict=True)
        if matrix.any() and term.right != ONE and term.right not in identities
    )
    x = _means(pair_map.left.encode(pairs.impressions, tuple(t.left for t, _ in active)), cells, pairs.row)
    z = pair_map.right.encode(pairs.creatives, tuple(t.right for t, _ in active))
    variance = _of_pair_features(pairs.values_of(pair_map.pairs), slopes, cells)
    for term, matrix in zip(pair_map.terms, matrices, strict=True):
        if term.right in identities and matrix.any():  # they are crossed with the constant only
            variance += _of_identity(identities[term.right].codes(pairs.creatives), matrix[0], cells)
    for begin in range(0, len(cells.starts) - 1, DECISIONS_AT_ONCE):
        end = min(begin + DECISIONS_AT_ONCE, len(cells.starts) - 1)
        part = slice(cells.starts[begin], cells.starts[end])
        of_part = {name: values[begin:end] for name, values in x.items()}
        starts = cells.starts[begin : end + 1] - part.start
        variance[part] += _of_terms(active, of_part, z, cells.creative[part], starts)
    return np.sqrt(variance)[cells.of_pair]


def _of_terms(
    active: tuple[tuple[Term, np.ndarray], ...],
    x: dict[str, np.ndarray],
    z: dict[str, np.ndarray],
    creative: np.ndarray,
    starts: np.ndarray,
) -> np.ndarray:
    """The first two lines of (1), float64 [c]. x: block -> [decisions, k]; z: block -> [creatives, l]."""
    sizes = np.diff(starts)
    row, variance = np.repeat(np.arange(len(sizes)), sizes), np.zeros(len(creative))
    for block in dict.fromkeys(term.right for term, _ in active):
        shown = z[block][creative]
        deviation = shown - (np.add.reduceat(shown, starts[:-1]) / sizes[:, None])[row]
        squares = np.zeros((len(sizes), shown.shape[1]), dtype=np.float32)
        for term, matrix in active:
            if term.right == block and term.how != MATCH:
                squares += x[term.left] ** 2 @ matrix.astype(np.float32)
            elif term.right == block:
                product = np.einsum("ik,ik->i", x[term.left][row], deviation) * term.unit
                variance += product.astype(np.float64) ** 2 * (matrix[0, 0] / term.unit)
        variance += np.einsum("ik,ik,ik->i", squares[row], deviation, deviation)
    return variance


def _means(blocks: dict[str, np.ndarray], cells: _Cells, row: np.ndarray) -> dict[str, np.ndarray]:
    """The mean of each block over the impressions of a decision, float32 [decisions, k]."""
    from scipy.sparse import csr_array

    decision = cells.decision[cells.of_pair]
    counts = csr_array((np.ones(len(row), np.float32), (decision, row)), (len(cells.starts) - 1, len(blocks[ONE])))
    total = counts.sum(axis=1)
    return {name: (counts @ values) / total[:, None].astype(np.float32) for name, values in blocks.items()}


def _of_identity(code: np.ndarray, variances: np.ndarray, cells: _Cells) -> np.ndarray:
    """The first line of (1) for 0/1 columns of levels `code`, int64 [creatives], -1 if unknown: float64 [c].

    With the share s_l of the decision's creatives that have level l it is V_l (1 - 2 s_l) + sum_m V_m s_m^2.
    """
    level, sizes = code[cells.creative], np.diff(cells.starts)
    known = level >= 0
    pair, place, count = np.unique(
        cells.decision[known] * len(variances) + level[known], return_inverse=True, return_counts=True
    )
    decision = pair // len(variances)
    share, of_level = count / sizes[decision], variances[pair % len(variances)]
    variance = np.bincount(decision, of_level * share**2, len(sizes))[cells.decision]
    variance[known] += (of_level * (1 - 2 * share))[place]
    return np.maximum(variance, 0.0)


def _of_pair_features(values: np.ndarray, variances: np.ndarray, cells: _Cells) -> np.ndarray:
    """The last line of (1), float64 [c], from the values of all pairs, float32 [n, r]."""
    variance = np.zeros(len(cells.creative))
    sizes = np.diff(cells.starts)
    for place, of_weight in enumerate(variances):
        mean = np.bincount(cells.of_pair, values[:, place], len(variance)) / cells.pairs
        deviation = mean - np.repeat(np.add.reduceat(mean, cells.starts[:-1]) / sizes, sizes)
        variance += of_weight * deviation**2
    return variance
