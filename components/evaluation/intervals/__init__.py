"""Confidence intervals: resampling, finite-sample bounds, confidence sequences."""
