"""Encode categorical and open columns as float32 columns, whose names and values are fixed when the model is fitted."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import positions


@dataclass(frozen=True)
class Levels:
    """The values of one column that get a 0/1 column each, most frequent first; other values are all zeros."""

    group: str
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, group: str, values: pd.Series, most: int = 64) -> "Levels":
        """The at most `most` commonest values, with ties in alphabetical order, so that a rerun gives the same."""
        counts = values.dropna().astype(str).value_counts()
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls(group, tuple(level for level, _ in ranked[:most]))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names such as `creative_template:bold`: the group, a colon, the level."""
        return tuple(f"{self.group}:{level}" for level in self.levels)

    def codes(self, values: pd.Series) -> np.ndarray:
        """int64 [n], the position of each value in `levels`; -1 for null or another value."""
        if not isinstance(values.dtype, (pd.StringDtype, pd.CategoricalDtype)):
            values = values.astype("str").where(values.notna())
        return positions(values, pd.Index(self.levels, dtype="str"))

    def encode(self, values: pd.Series) -> np.ndarray:
        """float32 [n, levels], the 0/1 columns of values [n]."""
        return one_hot(self.codes(values), len(self.levels))


@dataclass(frozen=True)
class OpenColumns:
    """The open columns `feature_*` or `context_*` of a table: numbers are copied, texts become 0/1 columns.

    group: prefix of the encoded columns; strip: prefix of the table's columns; means: float64, in the order of
    `numbers`, values for nulls.
    """

    group: str
    strip: str
    numbers: tuple[str, ...]
    means: np.ndarray
    words: tuple[Levels, ...]

    @classmethod
    def fit(cls, group: str, strip: str, table: pd.DataFrame, most: int = 32) -> "OpenColumns":
        """The columns of `table` that start with `strip`, without those that are all null."""
        named = sorted(name for name in table.columns if name.startswith(strip) and table[name].notna().any())
        numbers = tuple(name for name in named if is_number(table[name]))
        means = np.array([float(table[name].mean()) for name in numbers])
        words = tuple(
            Levels.fit(f"{group}{name.removeprefix(strip)}", table[name], most) for name in named if name not in numbers
        )
        return cls(group, strip, numbers, means, words)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `encode` returns."""
        plain = tuple(f"{self.group}{name.removeprefix(self.strip)}" for name in self.numbers)
        return plain + tuple(column for levels in self.words for column in levels.columns)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """float32 [n, columns] of `table` [n]; a column that the table lacks counts as all null."""
        null = pd.Series(np.nan, index=table.index)
        numbers = [
            table.get(name, null).astype(np.float64).fillna(mean).to_numpy()[:, None]
            for name, mean in zip(self.numbers, self.means, strict=True)
        ]
        words = [levels.encode(table.get(self._source(levels), null)) for levels in self.words]
        return join_columns([*numbers, *words], len(table))

    def missing(self) -> np.ndarray:
        """float32 [columns], the encoding of a row that is null in all these columns."""
        return self.encode(pd.DataFrame(index=[0]))[0]

    def _source(self, levels: Levels) -> str:
        return self.strip + levels.group.removeprefix(self.group)


@dataclass(frozen=True)
class PriceBands:
    """Price bands with equal numbers of products; edges: float64 [bands - 1], in the data set's currency."""

    edges: np.ndarray

    @classmethod
    def fit(cls, price: pd.Series, bands: int = 5) -> "PriceBands":
        """Bands between quantiles of the known prices; equal quantiles are merged."""
        known = price.dropna().astype(np.float64)
        quantiles = np.arange(1, bands) / bands
        return cls(np.unique(np.quantile(known, quantiles)) if len(known) else np.zeros(0))

    def name(self, price: pd.Series) -> pd.Series:
        """The band of each price [n], `band1` being the cheapest; null for an unknown price."""
        band = np.searchsorted(self.edges, price.fillna(0.0).astype(np.float64).to_numpy(), side="right") + 1
        return pd.Series([f"band{number}" for number in band], index=price.index, dtype="str").where(price.notna())


def is_number(values: pd.Series) -> bool:
    """Whether a column is numeric; true and false count as 1 and 0."""
    return pd.api.types.is_numeric_dtype(values.dtype)


def one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    """float32 [n, width], 1 at each code of int64 [n]; a row of zeros for code -1."""
    encoded = np.zeros((len(codes), width), dtype=np.float32)
    known = np.flatnonzero(codes >= 0)
    encoded[known, codes[known]] = 1.0
    return encoded


def join_columns(blocks: list[np.ndarray], rows: int) -> np.ndarray:
    """float32 [rows, sum of k_i], the columns of all blocks [rows, k_i] side by side; without blocks [rows, 0]."""
    return np.concatenate([np.zeros((rows, 0)), *blocks], axis=1, dtype=np.float32, casting="same_kind")
