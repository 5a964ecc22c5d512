"""P(click) of the creatives of one request at a time: what a server computes, without tables.

A kind of model whose logit is a product of two towers gives a TowerScorer (`request_scorer` of the model): the tower of
the creatives is computed once, that of the request each time. Any other kind is scored through tables of one row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from components.interest.model_protocol import InterestModel, Pairs, Tower, tower_logits
from components.settings.errors import UserError


@dataclass(frozen=True)
class RequestRow:
    """The features of one request. values: float32 [c], the columns that the scorer was made for; segment: of the
    shopper as of the request.
    """

    values: np.ndarray
    segment: int


# request, rows of the creatives int64 [n], pair features float32 [n, r] -> P(click) float64 [n] in (0, 1)
RequestProbabilities = Callable[[RequestRow, np.ndarray, np.ndarray], np.ndarray]


class RequestScorer(Protocol):
    """Log-odds of a click for one request and some of the creatives that the scorer was made for."""

    def logits(self, request: RequestRow, creative: np.ndarray, values: np.ndarray) -> np.ndarray:
        """float64 [n] for rows `creative` of the creatives, int64 [n], and their pair features float32 [n, r]."""
        ...


@dataclass(frozen=True)
class TowerScorer:
    """left: a request -> its tower, one row; right: the tower of all creatives; shift: added to each logit; slopes:
    float64 [r], of the pair features.
    """

    left: Callable[[RequestRow], Tower]
    right: Tower
    shift: float
    slopes: np.ndarray

    def logits(self, request: RequestRow, creative: np.ndarray, values: np.ndarray) -> np.ndarray:
        """float64 [n]: see RequestScorer."""
        row = np.zeros(len(creative), dtype=np.int64)
        logits = tower_logits(self.left(request), self.right, row, creative) + self.shift
        return logits + values @ self.slopes


@dataclass(frozen=True)
class TableScorer:
    """The scorer of any model. creatives: feature rows; columns: names of a request's values; pairs: names of the pair
    features, in the order of `values`.
    """

    model: InterestModel
    creatives: pd.DataFrame
    columns: tuple[str, ...]
    pairs: tuple[str, ...]

    def logits(self, request: RequestRow, creative: np.ndarray, values: np.ndarray) -> np.ndarray:
        """float64 [n]: see RequestScorer."""
        return self.model.logits(self.pairs_of(request, creative, values))

    def pairs_of(self, request: RequestRow, creative: np.ndarray, values: np.ndarray) -> Pairs:
        """The request paired with rows `creative` of the creatives."""
        row = pd.DataFrame(request.values[None, :], columns=list(self.columns)).assign(segment=request.segment)
        shown = self.creatives.iloc[creative].reset_index(drop=True)
        place = np.arange(len(creative))
        return Pairs(row, shown, np.zeros_like(place), place, self.pairs, values)


def slopes_in_order(slopes: np.ndarray, names: tuple[str, ...], given: tuple[str, ...]) -> np.ndarray:
    """The slopes float64 [r] of a model's pair features `names`, in the order of the features `given`; 0 for others.

    UserError if the model was trained with a pair feature that is not given.
    """
    missing = [name for name in names if name not in given]
    if missing:
        raise UserError(f"the interest model needs the pair feature {missing[0]}, which these features lack")
    slope = dict(zip(names, slopes.tolist(), strict=True))
    return np.array([slope.get(name, 0.0) for name in given], dtype=np.float64)


def request_scorer(
    model: InterestModel, creatives: pd.DataFrame, columns: Sequence[str], pairs: Sequence[str]
) -> RequestScorer:
    """The scorer of `model` for feature rows of `creatives` and requests with these columns and pair features.

    UserError if the model was trained with a column or pair feature that is not among them.
    """
    make = getattr(model, "request_scorer", None)
    if make is None:
        return TableScorer(model, creatives, tuple(columns), tuple(pairs))
    return make(creatives, tuple(columns), tuple(pairs))
