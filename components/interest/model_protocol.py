"""What every model of P(click | shopper, creative, context) can do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd

from components.settings.errors import UserError


@dataclass(frozen=True)
class Pairs:
    """Pairs of an impression and a creative, by their rows in two feature tables.

    impressions: [m] rows; creatives: [k] rows, one per version of a creative; row, column: int64 [n], into them;
    names, values: float32 [n, r], the pair features (components/features/pairs), by column.
    """

    impressions: pd.DataFrame
    creatives: pd.DataFrame
    row: np.ndarray
    column: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray

    def valued(self, names: tuple[str, ...]) -> np.ndarray:
        """The pair features that a model learned from, in its order: float32 [n, r]. UserError where one is missing."""
        if names == self.names:
            return self.values
        missing = [name for name in names if name not in self.names]
        if missing:
            raise UserError(f"the model of interest needs the pair feature {missing[0]}, which these features lack")
        return self.values[:, [self.names.index(name) for name in names]]

    def taken(self, rows: slice) -> "Pairs":
        """Some of the pairs."""
        return replace(self, row=self.row[rows], column=self.column[rows], values=self.values[rows])


class InterestModel(Protocol):
    """A trained model, before calibration."""

    name: str

    def logits(self, pairs: Pairs) -> np.ndarray:
        """n pairs -> log-odds of a click, float64 [n]."""
        ...

    def files(self) -> dict[str, bytes]:
        """The model as {file name: bytes}, without pickles."""
        ...

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "InterestModel":
        """What `files` wrote -> model."""
        ...


@dataclass(frozen=True)
class Tower:
    """Rows of one side as vectors: `logit = left.bias + right.bias + left.vectors . right.vectors` for a pair.

    vectors: float32 [n, k]; bias: float64 [n].
    """

    vectors: np.ndarray
    bias: np.ndarray


CHUNK = 1 << 18  # pairs at a time: bounds memory to CHUNK x k floats, twice


def meet(left: Tower, right: Tower, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Two towers and n pairs of their rows -> logits float64 [n]."""
    logits = left.bias[row] + right.bias[column]
    for start in range(0, len(row), CHUNK):
        part = slice(start, start + CHUNK)
        logits[part] += np.einsum("ik,ik->i", left.vectors[row[part]], right.vectors[column[part]])
    return logits
