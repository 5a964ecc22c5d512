"""A network's random start from an explicit seed.

Keras takes the seeds of initialisers from Python's own global generator. Threads of an orchestrator draw from it too
(retries and heartbeats jitter their delays), so that `keras.utils.set_random_seed` before building a network does not
make its start repeatable: now and then a rerun began, and ended, elsewhere.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

DRAWN = ("kernel", "embeddings")  # what stock layers start at random


def draw_start(seed: int, *networks: Any) -> None:
    """Draw every random weight of the Keras `networks` anew, from `seed` and the order of layers alone."""
    random = np.random.default_rng(seed)
    for layer in (layer for network in networks for layer in _layers(network)):
        for name in DRAWN:
            initializer = getattr(layer, f"{name}_initializer", None)
            settings = {} if initializer is None else initializer.get_config()
            if "seed" in settings:
                own = type(initializer).from_config({**settings, "seed": int(random.integers(2**31))})
                variable = getattr(layer, name)
                variable.assign(own(variable.shape, dtype=variable.dtype))


def _layers(network: Any) -> Iterator[Any]:
    """All layers, those of networks within networks in their place."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer
