"""Baseline generators, reimplemented from their descriptions, and the photos and figures of the comparison."""
