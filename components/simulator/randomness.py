"""An independent random generator per purpose and day from one seed, so that no draw changes another."""

import numpy as np

# Purposes. The numbers must not change, since they determine the bytes of published data sets.
SHOPPERS, PREFERENCES, CATALOGUE, EVENTS, IMPRESSIONS = range(5)


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """The generator of `purpose`: one of the numbers above, and further numbers such as a day."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


def standardised(draws: np.ndarray, axis: int | None = None) -> np.ndarray:
    """`draws` with mean 0 and standard deviation 1 along `axis` (None: all); values without variance become 0."""
    centred = draws - draws.mean(axis=axis, keepdims=True)
    spread = centred.std(axis=axis, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
