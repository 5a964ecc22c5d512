"""P(click | shopper, creative, context), calibrated: training, calibration, prediction."""

from components.interest.calibrated_model import CalibratedModel
from components.interest.disjoint_models import features_of_half, train_disjoint_models
from components.interest.predictions import logged_pairs, pair_errors, predict_pairs, score_pairs
from components.interest.training import TrainedInterest, train_interest

__all__ = [
    "CalibratedModel",
    "TrainedInterest",
    "features_of_half",
    "logged_pairs",
    "pair_errors",
    "predict_pairs",
    "score_pairs",
    "train_disjoint_models",
    "train_interest",
]
