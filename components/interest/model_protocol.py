"""What every model of P(click | shopper, creative, context) can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Pairs:
    """Pairs of an impression and a creative, by their rows in two feature tables.

    impressions: [m] rows; creatives: [k] rows, one per version of a creative; row, column: int64 [n], into them;
    repeats: float32 [n, r], how often the shopper had been shown the creative's product before (0 columns where no
    past is known).
    """

    impressions: pd.DataFrame
    creatives: pd.DataFrame
    row: np.ndarray
    column: np.ndarray
    repeats: np.ndarray


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
