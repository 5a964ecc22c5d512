"""Events, products and creatives -> tables that are correct as of each impression's time."""

from components.features.build import Features, build_features, creative_features
from components.features.model import FeatureModel, fit_features

__all__ = ["FeatureModel", "Features", "build_features", "creative_features", "fit_features"]
