"""Two models of interest that share no shopper: where one of them is climbed, the other can contradict it.

A score that is optimised stops being a measure (Goodhart's law). What the climbed model owes to the luck of its own
shoppers, the other one does not see.
"""

from dataclasses import replace
from zlib import crc32

from components.features import Features
from components.features.time_splits import TRAIN
from components.interest.calibrated_model import CalibratedModel
from components.interest.predictions import logged_pairs
from components.interest.training import train_calibrated
from components.settings.sections import InterestConfig

KIND = "logistic"  # fast, and it says nothing where it knows nothing: groups without evidence are switched off


def half(features: Features, which: int) -> Features:
    """The features with the impressions of half 0 or 1 of the shoppers, told apart by a digest of their ids."""
    mine = features.impressions["shopper_id"].map(lambda name: crc32(name.encode()) % 2 == which)
    return replace(features, impressions=features.impressions[mine].reset_index(drop=True))


def train_halves(features: Features, config: InterestConfig) -> tuple[CalibratedModel, ...]:
    """Features -> a calibrated model of each half of the shoppers; none where a half has no clicks to learn from."""
    halves = [half(features, which) for which in (0, 1)]
    clicks = [logged_pairs(each, TRAIN)[1] for each in halves]
    if not all(0 < each.sum() < len(each) for each in clicks):
        return ()
    return tuple(train_calibrated(each, KIND, config) for each in halves)
