"""A plain conditional VAE (Sohn et al. 2015): the Keras example's convolutions, Bernoulli loss, category as one-hot."""

import keras
from keras import layers, ops

from components.generators.generator_family import TrainingSetup
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Recipe, TrainableGroup
from components.generators.training.training_batches import Noise
from components.settings.sections import GeneratorConfig

LATENT = 16


def setup(photos: Photos, config: GeneratorConfig, seed: int) -> TrainingSetup:
    """The training set-up of the VAE for 28x28 grey photos."""
    keras.utils.set_random_seed(seed)
    categories = len(photos.categories)
    encode, decode = _encoder(categories), _decoder(categories)
    variables = tuple(encode.trainable_variables + decode.trainable_variables)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(list(variables))

    def loss(batch):
        pictures = ops.cast(batch["pictures"], "float32") / 255.0
        mean, log_variance = ops.split(encode([pictures, batch["category"]]), 2, axis=1)
        code = mean + ops.exp(0.5 * log_variance) * batch["z"]
        decoded = decode([code, batch["category"], batch["segment"]])
        rebuilt = ops.clip((decoded + 1.0) / 2.0, 1e-6, 1.0 - 1e-6)
        entropy = -ops.sum(pictures * ops.log(rebuilt) + (1.0 - pictures) * ops.log(1.0 - rebuilt), axis=(1, 2, 3))
        divergence = 0.5 * ops.sum(ops.exp(log_variance) + mean**2 - 1.0 - log_variance, axis=1)
        return ops.mean(entropy + divergence), {}

    recipe = Recipe(
        {"encoder": encode, "decoder": decode},
        (TrainableGroup("loss", variables, optimizer, loss),),
        (Noise("z", (LATENT,)),),
    )
    return TrainingSetup(recipe, {}, lambda: decode)


def _encoder(categories: int) -> keras.Model:
    pictures, category = keras.Input((28, 28, 1)), keras.Input((), dtype="int32")
    hidden = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(pictures)
    hidden = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(hidden)
    hidden = layers.Concatenate()([layers.Flatten()(hidden), ops.one_hot(category, categories)])
    hidden = layers.Dense(64, activation="relu")(hidden)
    return keras.Model([pictures, category], layers.Dense(2 * LATENT)(hidden))


def _decoder(categories: int) -> keras.Model:
    code = keras.Input((LATENT,))
    category, segment = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    hidden = layers.Concatenate()([code, ops.one_hot(category, categories)])
    hidden = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(hidden))
    hidden = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(hidden)
    hidden = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(hidden)
    # tanh is the sigmoid scaled to [-1, 1], the range of every sampler
    painted = layers.Conv2DTranspose(1, 3, padding="same", activation="tanh")(hidden)
    return keras.Model([code, category, segment], painted)
