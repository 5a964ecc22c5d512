"""A trained generator -> a compact one for serving: weights as 8-bit integers, a quarter of the bytes."""

import gc

import keras

from components.generators.keras_generator import NetworkGenerator


def compact(generator: NetworkGenerator) -> NetworkGenerator:
    """The same generator with its dense layers' weights rounded to int8, each output channel on its own scale.

    Pictures move by a few grey levels. The original is left as it is.
    """
    network = keras.models.clone_model(generator.network)
    network.set_weights(generator.network.get_weights())
    gc.freeze()  # Keras collects garbage after every layer: a third of a second each time, if it looks through all
    try:
        network.quantize("int8")
    finally:
        gc.unfreeze()
    return NetworkGenerator(f"{generator.name}-int8", network, generator.categories, generator.segments)
