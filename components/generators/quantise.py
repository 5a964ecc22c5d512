"""Quantise a trained generator for serving: weights as 8-bit integers, a quarter of the bytes."""

import gc

import keras

from components.generators.keras_generator import NetworkGenerator


def compact(generator: NetworkGenerator) -> NetworkGenerator:
    """The generator with its dense layers' weights rounded to int8, with one scale per output channel.

    Images change by a few grey levels. `generator` is not changed.
    """
    network = keras.models.clone_model(generator.network)
    network.set_weights(generator.network.get_weights())
    gc.freeze()  # Keras collects garbage after every layer, which would take a third of a second each
    try:
        network.quantize("int8")
    finally:
        gc.unfreeze()
    return NetworkGenerator(f"{generator.name}-int8", network, generator.categories, generator.segments)
