"""Baselines that generators are compared with, reimplemented from their descriptions; and the photos of the race."""
