"""Versions of creatives' feature rows: for impressions before `features_from`, open columns are missing.

A creative has at most two such times, its own and its product's, so at most two earlier versions of its row. They are
in a separate table, which is empty for most data sets.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import microseconds

ALWAYS = np.iinfo(np.int64).min  # the time from which a row without `features_from` is known
KNOWN_UNTIL = "known_until"  # column of an earlier version: impressions strictly before this time use it


@dataclass(frozen=True)
class Versions:
    """The feature rows of creatives with their earlier versions, indexed by creative and time.

    table: [k + e], the k current rows first; moments: int64 [u], ascending, the distinct ends of earlier versions;
    keys: int64 [e], ascending, creative x (u + 1) + rank of the version's end; rows: int64 [e], their rows in `table`.
    """

    table: pd.DataFrame
    moments: np.ndarray
    keys: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, creatives: pd.DataFrame, earlier: pd.DataFrame | None) -> "Versions":
        """The versions of current rows [k] and earlier versions [e]; None: there are none."""
        if earlier is None or not len(earlier):
            empty = np.zeros(0, dtype=np.int64)
            return cls(creatives, empty, empty, empty)
        table = pd.concat([creatives, earlier.drop(columns=KNOWN_UNTIL)], ignore_index=True)
        creative = pd.Index(creatives["creative_id"]).get_indexer(pd.Index(earlier["creative_id"])).astype(np.int64)
        moments, rank = np.unique(microseconds(earlier[KNOWN_UNTIL]), return_inverse=True)
        keys = creative * (len(moments) + 1) + rank
        order = np.argsort(keys, kind="stable")
        return cls(table, moments, keys[order], len(creatives) + order)

    def at(self, creative: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """The rows of `table`, int64 [n], for creatives int64 [n] at times `moment` int64 [n], microseconds.

        The version is the first that ends after the moment, or else the current row.
        """
        if not len(self.keys):
            return creative
        width = len(self.moments) + 1
        query = creative * width + np.searchsorted(self.moments, moment, side="right")
        place = np.minimum(np.searchsorted(self.keys, query, side="left"), len(self.keys) - 1)
        earlier = (self.keys[place] >= query) & (self.keys[place] // width == creative)
        return np.where(earlier, self.rows[place], creative)


def rows_known_at(table: pd.DataFrame, moment: int) -> pd.DataFrame:
    """The rows of `table` whose open columns are known at `moment` (microseconds)."""
    begins = known_from(table)
    return table[begins <= moment]


def known_from(table: pd.DataFrame) -> np.ndarray:
    """int64 [n], the time in microseconds from which each row's open columns are known; ALWAYS for null."""
    moments = np.full(len(table), ALWAYS)
    if "features_from" in table:
        timed = table["features_from"].notna().to_numpy()
        moments[timed] = microseconds(table.loc[timed, "features_from"])
    return moments
