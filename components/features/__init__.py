"""Point-in-time features of shoppers, products, creatives, requests, and of (shopper, creative) pairs."""

from components.features.feature_model import FeatureModel, fit_features, fit_with_looks
from components.features.feature_tables import Features, build_features, creative_features
from components.features.products.looks import Looks, looks_of

__all__ = [
    "FeatureModel",
    "Features",
    "Looks",
    "build_features",
    "creative_features",
    "fit_features",
    "fit_with_looks",
    "looks_of",
]
