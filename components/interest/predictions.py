"""Predict P(click) of pairs that the features know, and collect the logged pairs to train on."""

import numpy as np
import pandas as pd

from components.features import Features
from components.features.pairs.pair_values import pair_columns
from components.features.timeline import microseconds, positions
from components.interest.calibrated_model import CalibratedModel
from components.interest.model_protocol import Pairs
from components.settings.errors import UserError


def predict_pairs(
    model: CalibratedModel, features: Features, pairs: pd.DataFrame, row: np.ndarray | None = None
) -> np.ndarray:
    """P(click) of n `pairs` (impression_id, creative_id), float64 [n] in (0, 1). UserError for unknown ids.

    row: their rows in `features.impressions`, int64 [n]; None: found by impression_id.
    """
    return model.probabilities(_pairs_of(features, pairs, row))


def pair_errors(
    model: CalibratedModel, features: Features, pairs: pd.DataFrame, row: np.ndarray | None = None
) -> np.ndarray:
    """The standard error of each of `predict_pairs`, float64 [n], without what all pairs of an impression share.

    pairs: p_click too. UserError if the model has none.
    """
    chosen = _pairs_of(features, pairs, row)
    probability = pairs["p_click"].to_numpy()
    return model.standard_errors(chosen, chosen.row) * probability * (1 - probability)


def score_pairs(
    model: CalibratedModel,
    features: Features,
    pairs: pd.DataFrame,
    row: np.ndarray | None = None,
    *,
    errors: bool = False,
) -> pd.DataFrame:
    """Columns impression_id, creative_id, p_click and, if `errors`, p_click_error of `pairs`, in their order."""
    scored = pairs[["impression_id", "creative_id"]].assign(p_click=predict_pairs(model, features, pairs, row))
    return scored.assign(p_click_error=pair_errors(model, features, scored, row)) if errors else scored


def logged_pairs(features: Features, split: str) -> tuple[Pairs, np.ndarray]:
    """Consenting impressions of `split` in order of time, paired with the creative shown; and clicks, float64 [n]."""
    impressions = features.impressions
    rows = np.flatnonzero((impressions["split"] == split) & impressions["consent"])
    rows = rows[np.argsort(microseconds(impressions["timestamp"])[rows], kind="stable")]
    column = _rows(features.creatives["creative_id"], impressions["creative_id"].iloc[rows], "creative_id")
    return pairs_at(features, rows, column), impressions["click"].to_numpy(dtype=np.float64)[rows]


def pairs_at(features: Features, row: np.ndarray, column: np.ndarray) -> Pairs:
    """The pairs of impressions `row` and creatives `column`, int64 [n] each: places in the tables of `features`.

    Over the distinct impressions of `row` only, so that a model encodes each once and no others.

    Each creative is taken in the version known at the impression's time.
    """
    values = features.pairs_of(row, column)
    version = features.versions.at(column, microseconds(features.impressions["timestamp"])[row])
    used_rows, row_in_used = np.unique(row, return_inverse=True)
    return Pairs(
        features.impressions.iloc[used_rows],
        features.versions.table,
        row_in_used,
        version,
        pair_columns(features.pairs),
        values,
    )


def _pairs_of(features: Features, pairs: pd.DataFrame, row: np.ndarray | None) -> Pairs:
    if row is None:
        row = _rows(features.impressions["impression_id"], pairs["impression_id"], "impression_id")
    return pairs_at(features, row, _rows(features.creatives["creative_id"], pairs["creative_id"], "creative_id"))


def _rows(known_ids: pd.Series, ids: pd.Series, name: str) -> np.ndarray:
    rows = positions(ids, pd.Index(known_ids))
    if (rows < 0).any():
        raise UserError(f"pairs: {name} {ids.iloc[int((rows < 0).argmax())]!r} is not among the features")
    return rows
