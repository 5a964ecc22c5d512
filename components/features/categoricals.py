"""Columns of words or free numbers -> float32 columns whose meaning is pinned when the model is fitted."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Levels:
    """The values of one column that get a 0/1 column each, most frequent first; any other value is all zeros."""

    group: str
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, group: str, values: pd.Series, most: int = 64) -> "Levels":
        """The at most `most` commonest values [n]; ties in alphabetical order, so that a rerun pins the same ones."""
        counts = values.dropna().astype(str).value_counts()
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls(group, tuple(level for level, _ in ranked[:most]))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names such as `creative_template:bold`: the group, a colon, the level."""
        return tuple(f"{self.group}:{level}" for level in self.levels)

    def codes(self, values: pd.Series) -> np.ndarray:
        """values [n] -> int64 [n], the level's number; -1 for a null or a value that the fit did not keep."""
        text = values.astype("str").where(values.notna())
        return pd.Index(self.levels, dtype="str").get_indexer(pd.Index(text, dtype="str")).astype(np.int64)

    def encode(self, values: pd.Series) -> np.ndarray:
        """values [n] -> float32 [n, levels]."""
        return one_hot(self.codes(values), len(self.levels))


@dataclass(frozen=True)
class FreeColumns:
    """The `feature_*` or `context_*` columns that a data set brings: numbers pass, words become levels.

    group: prefix of the columns it writes; strip: prefix that the table's own names carry; means: float64, in the order
    of `numbers`, fills in for nulls.
    """

    group: str
    strip: str
    numbers: tuple[str, ...]
    means: np.ndarray
    words: tuple[Levels, ...]

    @classmethod
    def fit(cls, group: str, strip: str, table: pd.DataFrame, most: int = 32) -> "FreeColumns":
        """Pins the columns of `table` that start with `strip`; a column with no value in the fit is left out."""
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
        """table [n] -> float32 [n, columns]; a column that this table lacks counts as all null."""
        nothing = pd.Series(np.nan, index=table.index)
        numbers = [
            table.get(name, nothing).astype(np.float64).fillna(mean).to_numpy()[:, None]
            for name, mean in zip(self.numbers, self.means, strict=True)
        ]
        words = [levels.encode(table.get(self._source(levels), nothing)) for levels in self.words]
        return side_by_side([*numbers, *words], len(table))

    def missing(self) -> np.ndarray:
        """What a row without any of these columns is encoded as: float32 [columns]."""
        return self.encode(pd.DataFrame(index=[0]))[0]

    def _source(self, levels: Levels) -> str:
        return self.strip + levels.group.removeprefix(self.group)


@dataclass(frozen=True)
class PriceBands:
    """Prices -> bands of equal numbers of products; edges: float64 [bands - 1], in the set's currency."""

    edges: np.ndarray

    @classmethod
    def fit(cls, price: pd.Series, bands: int = 5) -> "PriceBands":
        """Quantiles of the known prices [n]; equal neighbours are merged."""
        known = price.dropna().astype(np.float64)
        quantiles = np.arange(1, bands) / bands
        return cls(np.unique(np.quantile(known, quantiles)) if len(known) else np.zeros(0))

    def name(self, price: pd.Series) -> pd.Series:
        """price [n] -> `band1` (cheapest) and up; null where the price is unknown."""
        band = np.searchsorted(self.edges, price.fillna(0.0).astype(np.float64).to_numpy(), side="right") + 1
        return pd.Series([f"band{number}" for number in band], index=price.index, dtype="str").where(price.notna())


def is_number(values: pd.Series) -> bool:
    """Whether a column holds numbers (true and false count as 1 and 0)."""
    return pd.api.types.is_numeric_dtype(values.dtype)


def one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    """codes int64 [n], -1 for none -> float32 [n, width]."""
    encoded = np.zeros((len(codes), width), dtype=np.float32)
    known = np.flatnonzero(codes >= 0)
    encoded[known, codes[known]] = 1.0
    return encoded


def side_by_side(blocks: list[np.ndarray], rows: int) -> np.ndarray:
    """Arrays [rows, k_i] -> float32 [rows, sum of k_i]; no blocks: [rows, 0]."""
    return np.concatenate([np.zeros((rows, 0)), *blocks], axis=1, dtype=np.float32, casting="same_kind")
