"""Checks of a log: its propensities, actions, rows and columns."""
