"""Point-in-time features of shoppers, products, creatives, requests, and of (shopper, creative) pairs."""

from components.features.feature_model import FeatureModel, fit_features
from components.features.feature_tables import Features, build_features, creative_features

__all__ = ["FeatureModel", "Features", "build_features", "creative_features", "fit_features"]
