"""Who likes what: P(click | shopper, creative, context), calibrated."""

from components.interest.calibrated import CalibratedModel
from components.interest.scoring import logged_pairs, predict_pairs
from components.interest.training import Interest, train_interest

__all__ = ["CalibratedModel", "Interest", "logged_pairs", "predict_pairs", "train_interest"]
