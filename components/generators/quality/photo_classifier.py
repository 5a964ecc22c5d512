"""The fixed classifier of product photos: generators are measured on its features, and CAS is its accuracy when trained
on their images.

It is trained on real photos of the data set. So distances on its features are comparable between generators of one data
set, but not with distances on Inception features.
"""

from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from keras import layers, ops

from components.generators.photos.training_photos import Photos
from components.generators.training.gradient_step import compile_call
from components.generators.training.recipe import Recipe, TrainableGroup
from components.generators.training.training_batches import Batches
from components.generators.training.training_loop import Training
from components.interest.models.keras_init import draw_initial_weights

BATCH, EPOCHS, LEARNING_RATE = 256, 5, 2e-3
FEATURES = 128
BLOCK = 500  # images per call; the last block is padded


@dataclass(frozen=True)
class Classifier:
    """network: images (B, H, W, C) in [-1, 1] -> features (B, 128) and log-odds (B, categories), concatenated."""

    network: keras.Model
    categories: tuple[str, ...]

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """float32 [n, 128] >= 0, the last hidden layer for images uint8 [n, h, w, c]."""
        return self._both(pictures)[:, :FEATURES]

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """int64 [n], codes into `categories` of images uint8 [n, h, w, c]."""
        return self._both(pictures)[:, FEATURES:].argmax(axis=1)

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """float64 [n, categories], rows sum to 1, of images uint8 [n, h, w, c]."""
        odds = self._both(pictures)[:, FEATURES:].astype(np.float64)
        shares = np.exp(odds - odds.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def accuracy(self, photos: Photos) -> float:
        """Share of the photos whose category it predicts."""
        return float(np.mean(self.predict(photos.pictures) == photos.category))

    def _both(self, pictures: np.ndarray) -> np.ndarray:
        outputs = np.empty((len(pictures), FEATURES + len(self.categories)), np.float32)
        for start in range(0, len(pictures), BLOCK):
            block = pictures[start : start + BLOCK]
            padded = np.concatenate([block, np.zeros((BLOCK - len(block), *block.shape[1:]), np.uint8)])
            outputs[start : start + BLOCK] = self._call(padded)[: len(block)]
        return outputs

    @cached_property
    def _call(self):
        return compile_call(lambda pictures: self.network(_to_unit(pictures)), (self.network,))


def train_classifier(photos: Photos, seed: int = 0, epochs: int = EPOCHS) -> Classifier:
    """The classifier trained on `photos`, real or generated, for `epochs` passes; its architecture is fixed."""
    network = _network(photos.shape, len(photos.categories))
    draw_initial_weights(seed, network)
    steps = max(1, epochs * len(photos.category) // BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))
    optimizer.build(network.trainable_variables)

    def loss(batch):
        logits = network(_to_unit(batch["pictures"]))[:, FEATURES:]
        losses = keras.losses.sparse_categorical_crossentropy(batch["category"], logits, from_logits=True)
        return ops.mean(losses), {}

    recipe = Recipe(
        {"classifier": network}, (TrainableGroup("loss", tuple(network.trainable_variables), optimizer, loss),), ()
    )
    training = Training("classifier", recipe, Batches(photos, BATCH, 1, (), seed), steps, max_seconds=3600.0)
    for _ in training.run():
        pass
    return Classifier(network, photos.categories)


def _network(shape: tuple[int, int, int], categories: int) -> keras.Model:
    pictures = keras.Input(shape)
    hidden = layers.Conv2D(32, 5, strides=2, padding="same", activation="relu")(pictures)
    hidden = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(hidden)
    while max(hidden.shape[1:3]) > 8:
        hidden = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(hidden)
    features = layers.Dense(FEATURES, activation="relu")(layers.Flatten()(hidden))
    return keras.Model(pictures, layers.Concatenate()([features, layers.Dense(categories)(features)]))


def _to_unit(pictures):
    return ops.cast(pictures, "float32") / 127.5 - 1.0
