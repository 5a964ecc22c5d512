"""Small networks as `.keras` files, for tests of what reads them."""

import keras
import numpy as np
from keras import layers

from components.generators.keras_generator import network_bytes


def dense_encoder(shape: tuple = (14, 14, 1), dimensions: int = 3, scale: float = 1.0) -> bytes:
    """Pictures (B, *shape) -> (B, dimensions): fixed weighted sums of the pixels, `scale` of the weights."""
    pictures = keras.Input(shape, name="pictures")
    network = keras.Model(pictures, layers.Dense(dimensions, name="sums")(layers.Flatten()(pictures)))
    kernel, bias = network.get_layer("sums").get_weights()
    weights = np.random.default_rng(0).normal(0, 1 / np.sqrt(len(kernel)), kernel.shape)
    network.get_layer("sums").set_weights([(scale * weights).astype(np.float32), bias])
    return network_bytes(network)
