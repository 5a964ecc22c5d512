"""Who likes what: P(click | shopper, creative, context), calibrated."""

from components.interest.calibrated_model import CalibratedModel
from components.interest.disjoint_models import half, train_halves
from components.interest.predictions import logged_pairs, predict_pairs
from components.interest.training import Interest, train_interest

__all__ = ["CalibratedModel", "Interest", "half", "logged_pairs", "predict_pairs", "train_halves", "train_interest"]
