"""Encode feature tables as blocks of float32 columns, scaled so that one prior variance per block is appropriate."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels
from components.settings.errors import UserError

MIN_DEVIATION = 1e-6  # a column that varies less in training is not scaled: the division would blow up rounding noise


@dataclass(frozen=True)
class NumericBlock:
    """k numeric columns as (x - mean) / scale, clipped to [-cap, cap]; x is sign(x) log(1 + |x|) first if `logged`.

    mean, scale: float64 [k].
    """

    name: str
    columns: tuple[str, ...]
    logged: bool
    mean: np.ndarray
    scale: np.ndarray
    cap: float = 6.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], table: pd.DataFrame, logged: bool = False, pooled: bool = False
    ) -> "NumericBlock":
        """The block fitted on n rows; 0/1 columns are not scaled. pooled: one scale for all (shares, vectors)."""
        values = _values(table, columns, logged)
        binary = np.isin(values, (0.0, 1.0)).all(axis=0)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        if pooled and len(columns):
            deviation = np.full(len(columns), np.sqrt((deviation**2).mean()))
        scale = np.where(binary | (deviation < MIN_DEVIATION), 1.0, deviation)
        return cls(name, columns, logged, np.round(np.where(binary, 0.0, mean), 9), np.round(scale, 9))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """The columns of n rows, scaled: float32 [n, k]. Raises UserError if `table` lacks a column."""
        return scaled(_values(table, self.columns, self.logged), self.mean, self.scale, self.cap)


@dataclass(frozen=True)
class CategoricalBlock:
    """One column of ids or codes as 0/1 columns, one per level known in training; an unknown level gives zeros."""

    name: str
    column: str
    levels: Levels

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.levels.levels)

    def codes(self, table: pd.DataFrame) -> np.ndarray:
        """Level of each of n rows, int64 [n]; -1 if unknown."""
        return self.levels.codes(table[self.column])

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """0/1 columns of n rows, float32 [n, levels]."""
        return self.levels.encode(table[self.column])


def scaled(values: np.ndarray, mean: np.ndarray, scale: np.ndarray, cap: np.ndarray | float) -> np.ndarray:
    """(values - mean) / scale, clipped to [-cap, cap]: float32 of the shape of `values`."""
    return np.clip((values - mean) / scale, -cap, cap).astype(np.float32)


def check_columns(columns: Sequence[str], known: Container[str]) -> None:
    """UserError if one of `columns`, which a model was trained with, is not in `known`."""
    missing = [column for column in columns if column not in known]
    if missing:
        raise UserError(
            f"the features lack column {missing[0]} (and {len(missing) - 1} more) that this interest model was trained "
            "with: build them with the feature model that is stored beside it"
        )


def _values(table: pd.DataFrame, columns: tuple[str, ...], logged: bool) -> np.ndarray:
    check_columns(columns, table.columns)
    values = table[list(columns)].to_numpy(dtype=np.float64)
    return np.sign(values) * np.log1p(np.abs(values)) if logged else values
