"""What each fact adds to the log-odds of a creative, against their mean over the creatives of its decision.

The logit of the pair map is a sum of terms. So creative c differs from the mean of its decision by exactly

    sum_t x' W_t (z_c - mean z) + sum_r s_r (v_cr - mean v_r)                                                    (1)

A fact is the sum of those terms of (1) that a person would name together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.interest.model_protocol import Pairs
from components.interest.models.decision_cells import DecisionCells
from components.interest.models.encoders import check_columns
from components.interest.models.feature_blocks import ONE, RowEncoder
from components.interest.models.pair_design import OUTER, PairMap, Term
from components.interest.request_scorer import RequestRow

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


@dataclass(frozen=True)
class FactTerms:
    """The terms of a pair map that have weights. active: each with its matrix [k_left, k_right]; pairs: the r pair
    features; slopes: float64 [r].
    """

    active: tuple[tuple[Term, np.ndarray], ...]
    pairs: tuple[str, ...]
    slopes: np.ndarray

    @classmethod
    def of(cls, pair_map: PairMap, weights: np.ndarray) -> "FactTerms":
        """Those of weights float64 [d]; a term that is the same for all creatives moves no choice."""
        matrices, slopes = pair_map.unfold(weights)
        terms = zip(pair_map.terms, matrices, strict=True)
        active = tuple((term, matrix) for term, matrix in terms if matrix.any() and term.right != ONE)
        return cls(active, pair_map.pairs, slopes)

    @property
    def left(self) -> tuple[str, ...]:
        """The blocks of impressions that `effects` needs."""
        return tuple(term.left for term, _ in self.active)

    @property
    def right(self) -> tuple[str, ...]:
        """The blocks of creatives that `effects` needs."""
        return tuple(term.right for term, _ in self.active)

    def effects(
        self,
        x: Mapping[str, np.ndarray],
        z: Mapping[str, np.ndarray],
        values: np.ndarray,
        cells: DecisionCells,
        of_shown: np.ndarray,
    ) -> FactEffects:
        """Equation (1) by fact.

        x: blocks of each decision's mean impression, [decisions, k]; z: of creatives, [creatives, k]; values: the pair
        features, [pairs, r]; of_shown: int64 [decisions], the cell of the shown creative.
        """
        sums: dict[Fact, np.ndarray] = {}
        for term, matrix in self.active:
            block = z[term.right]
            if term.left == ONE:
                effect = _against_mean((block @ matrix[0])[cells.creative], cells, of_shown)
            else:
                deviation = block[cells.creative[of_shown]] - cells.mean_of_creatives(block[cells.creative])
                effect = np.einsum("ik,ik->i", x[term.left] @ matrix, deviation)
            sums[Fact.of(term)] = sums.get(Fact.of(term), 0.0) + effect
        for place, (name, slope) in enumerate(zip(self.pairs, self.slopes, strict=True)):
            fact, mean = Fact(PAST, name.partition(":")[0]), cells.mean_of_pairs(values[:, place])
            sums[fact] = sums.get(fact, 0.0) + slope * _against_mean(mean, cells, of_shown)
        return FactEffects(tuple(sums), np.column_stack([*sums.values()]) if sums else np.zeros((len(of_shown), 0)))


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
    terms = FactTerms.of(pair_map, weights)
    x = cells.mean_of_impressions(pair_map.left.encode(pairs.impressions, terms.left), pairs.row)
    z = pair_map.right.encode(pairs.creatives, terms.right)
    return terms.effects(x, z, pairs.values_of(pair_map.pairs), cells, of_shown)


class RequestFacts:
    """`fact_effects` of one request at a time: what a server computes, without tables."""

    def __init__(
        self,
        pair_map: PairMap,
        weights: np.ndarray,
        creatives: pd.DataFrame,
        columns: Sequence[str],
        pairs: Sequence[str],
    ):
        """creatives: feature rows. columns, pairs: names of a request's values and pair features.

        UserError if the model was trained with others too.
        """
        self._terms, self._encoder = FactTerms.of(pair_map, weights), RowEncoder(pair_map.left, columns)
        self._z = pair_map.right.encode(creatives, self._terms.right)
        check_columns(pair_map.pairs, tuple(pairs))
        self._pairs = np.array([list(pairs).index(name) for name in pair_map.pairs], dtype=np.int64)

    def effects(self, request: RequestRow, creative: np.ndarray, values: np.ndarray, shown: int) -> FactEffects:
        """Of the creative at the place `shown` of n, for rows `creative` int64 [n] and pair features float32 [n, r]."""
        place = np.arange(len(creative))
        cells = DecisionCells(
            np.zeros_like(place), place, place, np.ones_like(place), np.array([0, len(place)], dtype=np.int64)
        )
        z = {name: block[creative] for name, block in self._z.items()}
        return self._terms.effects(self._encoder.encode(request), z, values[:, self._pairs], cells, np.array([shown]))


def _against_mean(value: np.ndarray, cells: DecisionCells, of_shown: np.ndarray) -> np.ndarray:
    """A value per cell, float64 [c]: that of the shown creative minus the decision's mean, [decisions]."""
    return value[of_shown] - cells.mean_of_creatives(value)
