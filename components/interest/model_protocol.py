"""The protocol of interest models, and the pairs (impression, creative) that they score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd

from components.settings.errors import UserError


@dataclass(frozen=True)
class Pairs:
    """n pairs of an impression and a creative, as rows of two feature tables.

    impressions: m rows; creatives: k rows, one per version of a creative. row, column: int64 [n], each pair's row in
    `impressions` and in `creatives`. names: the r pair features (components/features/pairs); values: float32 [n, r].
    """

    impressions: pd.DataFrame
    creatives: pd.DataFrame
    row: np.ndarray
    column: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray

    def values_of(self, names: tuple[str, ...]) -> np.ndarray:
        """The values of the pair features `names`, in this order: float32 [n, r]. UserError if one is missing."""
        if names == self.names:
            return self.values
        missing = [name for name in names if name not in self.names]
        if missing:
            raise UserError(f"the interest model needs the pair feature {missing[0]}, which these features lack")
        return self.values[:, [self.names.index(name) for name in names]]

    def subset(self, rows: slice) -> "Pairs":
        """The pairs `rows`."""
        return replace(self, row=self.row[rows], column=self.column[rows], values=self.values[rows])


class InterestModel(Protocol):
    """A trained interest model, before calibration.

    A kind that is trained in epochs may have `losses`, a mapping of names to values per epoch, shown in TensorBoard. A
    kind that knows how sure it is has `standard_errors(pairs, decision)`, float64 [n]: of the log-odds of n pairs
    against their mean over the decision to which each pair belongs, int64 [n]. Each creative of a decision is paired
    with the same impressions; the errors are those of the mean log-odds over these. A kind that can say what moved a
    score has `fact_effects(pairs, decision, shown)` and `request_facts(creatives, columns, pairs)`
    (models/fact_effects.py).
    """

    name: str

    def logits(self, pairs: Pairs) -> np.ndarray:
        """Log-odds of a click of n pairs, float64 [n]."""
        ...

    def files(self) -> dict[str, bytes]:
        """File name -> bytes, without pickles."""
        ...

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "InterestModel":
        """The model that `files` wrote."""
        ...


@dataclass(frozen=True)
class Tower:
    """Impressions or creatives as vectors; a pair's logit is left.bias + right.bias + left.vectors . right.vectors.

    vectors: float32 [n, k]; bias: float64 [n].
    """

    vectors: np.ndarray
    bias: np.ndarray


CHUNK = 1 << 18  # pairs at a time, which bounds memory to twice CHUNK x k floats


def tower_logits(left: Tower, right: Tower, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Logits float64 [n] of n pairs: rows `row` of `left` with rows `column` of `right`, int64 [n] each."""
    logits = left.bias[row] + right.bias[column]
    for start in range(0, len(row), CHUNK):
        chunk = slice(start, start + CHUNK)
        logits[chunk] += np.einsum("ik,ik->i", left.vectors[row[chunk]], right.vectors[column[chunk]])
    return logits
