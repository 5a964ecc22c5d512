"""The open columns of creatives as of a moment: before `features_from` an impression sees them as missing.

A creative has at most two such moments, its own and its product's, so at most two earlier versions of its row. They
stand in a table of their own, which most data sets leave empty.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import microseconds

ALWAYS = np.iinfo(np.int64).min  # the moment from which a row without `features_from` is known
UNTIL = "known_until"  # timestamp of an earlier version: impressions strictly before it see that version


@dataclass(frozen=True)
class Versions:
    """Rows of creatives with their earlier versions, and where to find the version that a moment may see.

    table: [k + e], the k current rows first; moments: int64 [u], ascending, the distinct ends of earlier versions;
    keys: int64 [e], ascending, creative x (u + 1) + rank of the version's end; rows: int64 [e], their rows in `table`.
    """

    table: pd.DataFrame
    moments: np.ndarray
    keys: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, creatives: pd.DataFrame, earlier: pd.DataFrame | None) -> "Versions":
        """Current rows [k] and earlier versions [e], or None -> versions."""
        if earlier is None or not len(earlier):
            nothing = np.zeros(0, dtype=np.int64)
            return cls(creatives, nothing, nothing, nothing)
        table = pd.concat([creatives, earlier.drop(columns=UNTIL)], ignore_index=True)
        creative = pd.Index(creatives["creative_id"]).get_indexer(pd.Index(earlier["creative_id"])).astype(np.int64)
        moments, rank = np.unique(microseconds(earlier[UNTIL]), return_inverse=True)
        keys = creative * (len(moments) + 1) + rank
        order = np.argsort(keys, kind="stable")
        return cls(table, moments, keys[order], len(creatives) + order)

    def at(self, creative: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """Rows of creatives int64 [n] and moments int64 [n], microseconds -> rows of `table`, int64 [n].

        The version is the one that ends first after the moment; without one, the current row.
        """
        if not len(self.keys):
            return creative
        width = len(self.moments) + 1
        asked = creative * width + np.searchsorted(self.moments, moment, side="right")
        place = np.minimum(np.searchsorted(self.keys, asked, side="left"), len(self.keys) - 1)
        earlier = (self.keys[place] >= asked) & (self.keys[place] // width == creative)
        return np.where(earlier, self.rows[place], creative)


def known_by(table: pd.DataFrame, moment: int) -> pd.DataFrame:
    """The rows whose open columns are known at `moment` (microseconds): `features_from` is null or not after it."""
    begins = known_from(table)
    return table[begins <= moment]


def known_from(table: pd.DataFrame) -> np.ndarray:
    """int64 [n], microseconds from which the open columns of each row are known; ALWAYS for null."""
    moments = np.full(len(table), ALWAYS)
    if "features_from" in table:
        timed = table["features_from"].notna().to_numpy()
        moments[timed] = microseconds(table.loc[timed, "features_from"])
    return moments
