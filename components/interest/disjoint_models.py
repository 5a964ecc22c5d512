"""Two interest models trained on disjoint shoppers: one is optimised against; the other checks the result.

A score that is optimised stops being a measure (Goodhart's law). Errors that the first model learned from the noise of
its own shoppers are not in the second.
"""

from dataclasses import replace
from zlib import crc32

from components.features import Features
from components.features.time_splits import TRAIN
from components.interest.calibrated_model import CalibratedModel
from components.interest.predictions import logged_pairs
from components.interest.training import train_calibrated
from components.settings.sections import InterestConfig

MODEL_KIND = "logistic"  # fast; gives no effect to groups of features without evidence


def features_of_half(features: Features, which: int) -> Features:
    """The features with the impressions of half 0 or 1 of the shoppers; CRC-32 of the shopper id picks the half."""
    in_half = features.impressions["shopper_id"].map(lambda name: crc32(name.encode()) % 2 == which)
    return replace(features, impressions=features.impressions[in_half].reset_index(drop=True))


def train_disjoint_models(features: Features, config: InterestConfig) -> tuple[CalibratedModel, ...]:
    """A calibrated model of each half of the shoppers; () if a half has no clicks, or nothing but clicks."""
    halves = [features_of_half(features, which) for which in (0, 1)]
    clicks_of_halves = [logged_pairs(half_features, TRAIN)[1] for half_features in halves]
    if not all(0 < clicks.sum() < len(clicks) for clicks in clicks_of_halves):
        return ()
    return tuple(train_calibrated(half_features, MODEL_KIND, config) for half_features in halves)
