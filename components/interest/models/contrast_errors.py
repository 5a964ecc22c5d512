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

import numpy as np

from components.interest.model_protocol import Pairs
from components.interest.models.decision_cells import DecisionCells
from components.interest.models.feature_blocks import ONE
from components.interest.models.pair_design import MATCH, PairMap, Term

DECISIONS_AT_ONCE = 1 << 12


def contrast_errors(pair_map: PairMap, variances: np.ndarray, pairs: Pairs, decision: np.ndarray) -> np.ndarray:
    """The square root of (1) for n pairs: float64 [n].

    variances: float64 [d], of the weights of `pair_map`. decision: int64 [n], to which each pair belongs; each of its
    creatives is paired with the same impressions.
    """
    if not len(decision):
        return np.zeros(0)
    cells = DecisionCells.of(decision, pairs.column, len(pairs.creatives))
    matrices, slopes = pair_map.unfold(variances)
    identities = {block.name: block for block in pair_map.right.codes}
    active = tuple(
        (term, matrix)
        for term, matrix in zip(pair_map.terms, matrices, strict=True)
        if matrix.any() and term.right != ONE and term.right not in identities
    )
    encoded = pair_map.left.encode(pairs.impressions, tuple(term.left for term, _ in active))
    x = cells.mean_of_impressions(encoded, pairs.row)
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


def _of_identity(code: np.ndarray, variances: np.ndarray, cells: DecisionCells) -> np.ndarray:
    """The first line of (1) for 0/1 columns of levels `code`, int64 [creatives], -1 if unknown: float64 [c].

    With the share s_l of the decision's creatives that have level l it is V_l (1 - 2 s_l) + sum_m V_m s_m^2.
    """
    level, sizes = code[cells.creative], cells.sizes
    known = level >= 0
    pair, place, count = np.unique(
        cells.decision[known] * len(variances) + level[known], return_inverse=True, return_counts=True
    )
    decision = pair // len(variances)
    share, of_level = count / sizes[decision], variances[pair % len(variances)]
    variance = np.bincount(decision, of_level * share**2, len(sizes))[cells.decision]
    variance[known] += (of_level * (1 - 2 * share))[place]
    return np.maximum(variance, 0.0)


def _of_pair_features(values: np.ndarray, variances: np.ndarray, cells: DecisionCells) -> np.ndarray:
    """The last line of (1), float64 [c], from the values of all pairs, float32 [n, r]."""
    variance = np.zeros(len(cells.creative))
    for place, of_weight in enumerate(variances):
        mean = cells.mean_of_pairs(values[:, place])
        variance += of_weight * (mean - cells.mean_of_creatives(mean)[cells.decision]) ** 2
    return variance
