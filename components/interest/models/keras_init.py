"""Initialise a network's random weights from an explicit seed.

Keras takes the seeds of initialisers from Python's global generator. Threads of an orchestrator draw from it too
(retries and heartbeats jitter their delays), so `keras.utils.set_random_seed` before building a network does not make
its initial weights repeatable: some reruns started, and ended, with other weights.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

RANDOM_WEIGHTS = ("kernel", "embeddings")  # attributes of stock layers that are initialised at random


def draw_initial_weights(seed: int, *networks: Any) -> None:
    """Redraw every random initial weight of the Keras `networks`, from `seed` and the order of layers alone."""
    random = np.random.default_rng(seed)
    for layer in (layer for network in networks for layer in _layers(network)):
        for name in RANDOM_WEIGHTS:
            initializer = getattr(layer, f"{name}_initializer", None)
            settings = {} if initializer is None else initializer.get_config()
            if "seed" in settings:
                seeded_initializer = type(initializer).from_config({**settings, "seed": int(random.integers(2**31))})
                variable = getattr(layer, name)
                variable.assign(seeded_initializer(variable.shape, dtype=variable.dtype))


def _layers(network: Any) -> Iterator[Any]:
    """All layers in order, including those of nested networks."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer
