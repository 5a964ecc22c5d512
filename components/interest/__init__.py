"""Who likes what: P(click | shopper, creative, context), calibrated."""

from components.interest.calibrated import CalibratedModel
from components.interest.halves import half, train_halves
from components.interest.scoring import logged_pairs, predict_pairs
from components.interest.training import Interest, train_interest

__all__ = ["CalibratedModel", "Interest", "half", "logged_pairs", "predict_pairs", "train_halves", "train_interest"]
