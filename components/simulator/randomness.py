"""One seed -> an independent random generator per purpose and day, so that no draw shifts another."""

import numpy as np

# Purposes; the number is part of every published data set and never changes.
SHOPPERS, PREFERENCES, CATALOGUE, EVENTS, IMPRESSIONS = range(5)


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """The generator of `purpose` (one of the numbers above, then such as a day): equal arguments, equal draws."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


def standardised(draws: np.ndarray, axis: int | None = None) -> np.ndarray:
    """`draws` with mean 0 and standard deviation 1 along `axis` (None: all): an effect then has the size it is given.

    An axis of one value, or without variance, becomes 0.
    """
    centred = draws - draws.mean(axis=axis, keepdims=True)
    spread = centred.std(axis=axis, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
