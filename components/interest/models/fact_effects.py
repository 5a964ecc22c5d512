"""What each fact adds to the log-odds of a creative, against their mean over the creatives of its decision.

The logit of the pair map is a sum of terms. So creative c differs from the mean of its decision by exactly

    sum_t x' W_t (z_c - mean z) + sum_r s_r (v_cr - mean v_r)                                                    (1)

A fact is the sum of those terms of (1) that a person would name together.
"""

from dataclasses import dataclass

import numpy as np

from components.interest.model_protocol import Pairs
from components.interest.models.decision_cells import DecisionCells
from components.interest.models.feature_blocks import ONE
from components.interest.models.pair_design import OUTER, PairMap, Term

# what a fact is about: all shoppers, this one's tastes, shoppers like this one, when and where, what was shown before
EVERYONE, TASTE, GROUP, HOUR, PLACEMENT, PAST = "everyone", "taste", "group", "hour", "placement", "past"
CONTEXTS = {ONE: EVERYONE, "hour": HOUR, "placement": PLACEMENT}
ELEMENTS = {"log_price": "price", "title": "text"}  # blocks of a creative -> the element that a person would name


@dataclass(frozen=True)
class Fact:
    """about: one of the constants above. element: what differs between the ads, such as `template` or `category`."""

    about: str
    element: str

    @classmethod
    def of(cls, term: Term) -> "Fact":
        """The fact to which a term belongs; the tastes in one trait crossed with another are of shoppers like this."""
        about = CONTEXTS.get(term.left, GROUP if term.how == OUTER else TASTE)
        return cls(about, ELEMENTS.get(term.right, term.right))


@dataclass(frozen=True)
class FactEffects:
    """facts: distinct. effects: float64 [decisions, facts], in log-odds, of the shown creative of each decision."""

    facts: tuple[Fact, ...]
    effects: np.ndarray


def fact_effects(
    pair_map: PairMap, weights: np.ndarray, pairs: Pairs, decision: np.ndarray, shown: np.ndarray
) -> FactEffects:
    """Equation (1) by fact.

    weights: float64 [d], of `pair_map`. decision: int64 [n], of each pair, ascending numbers without gaps from 0; see
    DecisionCells. shown: int64 [decisions], a row of `pairs.creatives` for each.
    """
    cells = DecisionCells.of(decision, pairs.column, len(pairs.creatives))
    of_shown = np.flatnonzero(cells.creative == shown[cells.decision])
    if len(of_shown) != len(shown):
        raise ValueError("a decision does not have the creative that is said to be shown")
    matrices, slopes = pair_map.unfold(weights)
    active = [
        (t, matrix) for t, matrix in zip(pair_map.terms, matrices, strict=True) if matrix.any() and t.right != ONE
    ]
    encoded = pair_map.left.encode(pairs.impressions, tuple(term.left for term, _ in active))
    x = cells.mean_of_impressions(encoded, pairs.row)
    z = pair_map.right.encode(pairs.creatives, tuple(term.right for term, _ in active))
    sums: dict[Fact, np.ndarray] = {}
    for term, matrix in active:
        if term.left == ONE:
            effect = _against_mean(z[term.right] @ matrix[0], cells, of_shown)
        else:
            deviation = z[term.right][shown] - cells.mean_of_creatives(z[term.right][cells.creative])
            effect = np.einsum("ik,ik->i", x[term.left] @ matrix, deviation)
        sums[Fact.of(term)] = sums.get(Fact.of(term), 0.0) + effect
    values = pairs.values_of(pair_map.pairs)
    for place, (name, slope) in enumerate(zip(pair_map.pairs, slopes, strict=True)):
        fact, mean = Fact(PAST, name.partition(":")[0]), cells.mean_of_pairs(values[:, place])
        sums[fact] = sums.get(fact, 0.0) + slope * (mean[of_shown] - cells.mean_of_creatives(mean))
    return FactEffects(tuple(sums), np.column_stack([*sums.values()]) if sums else np.zeros((len(shown), 0)))


def _against_mean(value: np.ndarray, cells: DecisionCells, of_shown: np.ndarray) -> np.ndarray:
    """A value per creative, float64 [creatives]: that of the shown one minus the decision's mean, [decisions]."""
    of_cell = value[cells.creative]
    return of_cell[of_shown] - cells.mean_of_creatives(of_cell)
