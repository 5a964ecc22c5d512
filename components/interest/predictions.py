"""Features and pairs -> probabilities of a click."""

import numpy as np
import pandas as pd

from components.features import Features
from components.features.pairs.pair_values import columns_of
from components.features.timeline import microseconds
from components.interest.calibrated_model import CalibratedModel
from components.interest.model_protocol import Pairs
from components.settings.errors import UserError


def predict_pairs(model: CalibratedModel, features: Features, pairs: pd.DataFrame) -> np.ndarray:
    """pairs [n] with impression_id, creative_id, both known to `features` -> P(click), float64 [n] in (0, 1)."""
    row = _rows(features.impressions["impression_id"], pairs["impression_id"], "impression_id")
    column = _rows(features.creatives["creative_id"], pairs["creative_id"], "creative_id")
    return model.probabilities(_pairs(features, row, column))


def logged_pairs(features: Features, split: str) -> tuple[Pairs, np.ndarray]:
    """The consenting impressions of one split in order of time, each with the creative shown; and the clicks [n]."""
    impressions = features.impressions
    kept = np.flatnonzero((impressions["split"] == split) & impressions["consent"])
    kept = kept[np.argsort(impressions["timestamp"].to_numpy()[kept], kind="stable")]
    column = _rows(features.creatives["creative_id"], impressions["creative_id"].iloc[kept], "creative_id")
    return _pairs(features, kept, column), impressions["click"].to_numpy(dtype=np.float64)[kept]


def _pairs(features: Features, row: np.ndarray, column: np.ndarray) -> Pairs:
    """Only the impressions that are asked about travel on, so that a model encodes each of them once and no other.

    A creative is met in the version that the impression's time may see.
    """
    values = features.pairs_of(row, column)
    version = features.versions.at(column, microseconds(features.impressions["timestamp"])[row])
    used, compact = np.unique(row, return_inverse=True)
    return Pairs(
        features.impressions.iloc[used], features.versions.table, compact, version, columns_of(features.pairs), values
    )


def _rows(known: pd.Series, asked: pd.Series, name: str) -> np.ndarray:
    rows = pd.Index(known).get_indexer(pd.Index(asked)).astype(np.int64)
    if (rows < 0).any():
        raise UserError(f"pairs: {name} {asked.iloc[int((rows < 0).argmax())]!r} is not among the features")
    return rows
