"""Two interest models trained on disjoint shoppers: one is optimised against; the other checks the result.

A score that is optimised stops being a measure (Goodhart's law). Errors that the first model learned from the noise of
its own shoppers are not in the second.
"""

from dataclasses import replace
from zlib import crc32

import numpy as np
import pandas as pd

from components.features import Features
from components.features.time_splits import TRAIN
from components.interest.calibrated_model import CalibratedModel
from components.interest.training import train_calibrated
from components.settings.sections import InterestConfig

MODEL_KIND = "logistic"  # fast; gives no effect to groups of features without evidence


def features_of_half(features: Features, which: int) -> Features:
    """The features with the impressions of half 0 or 1 of the shoppers; CRC-32 of the shopper id picks the half."""
    in_half = _half_of(features) == which
    return replace(features, impressions=features.impressions[in_half].reset_index(drop=True))


def train_disjoint_models(features: Features, config: InterestConfig) -> tuple[CalibratedModel, ...]:
    """A calibrated model of each half of the shoppers; () if a half has no clicks, or nothing but clicks.

    One half's features are in memory at a time, beside those of all.
    """
    half, impressions = _half_of(features), features.impressions
    training = ((impressions["split"] == TRAIN) & impressions["consent"]).to_numpy()
    click = impressions["click"].to_numpy()
    clicks_of_halves = [click[training & (half == which)] for which in (0, 1)]
    if not all(0 < clicks.sum() < len(clicks) for clicks in clicks_of_halves):
        return ()
    return tuple(train_calibrated(features_of_half(features, which), MODEL_KIND, config) for which in (0, 1))


def _half_of(features: Features) -> np.ndarray:
    """The half, 0 or 1, of each impression's shopper: int64 [n]."""
    code, shoppers = pd.factorize(features.impressions["shopper_id"])
    return np.array([crc32(name.encode()) % 2 for name in shoppers], dtype=np.int64)[code]
