"""Checks of a log: are its propensities, actions, rows and columns what they claim to be?"""
