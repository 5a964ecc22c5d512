"""Conditional flow matching (Lipman et al. 2023; Liu et al. 2023) on the principal components of photos.

A straight path leads from standard normal noise x_0 to a photo's coordinates x_1. A network is trained to predict the
velocity x_1 - x_0 from a point on the path, and images are made by following the velocity from new noise. On principal
components a fully connected network can replace a convolutional one, which trains on ten times as many photos per
CPU-second.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from components.generators.families.networks import (
    TRAIT_MASK,
    Conditions,
    Shape,
    condition,
    in_float32,
    masked_conditions,
)
from components.generators.families.ode_sampler import Midpoint
from components.generators.generator_family import (
    Fitted,
    GeneratorFamily,
    TrainingSetup,
    conditions_of,
    falling_rate,
    trait_columns,
)
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Average, Recipe, TrainableGroup
from components.generators.training.training_batches import Noise
from components.images import PictureEncoder
from components.interest.models.keras_init import draw_initial_weights
from components.settings.sections import Count, GeneratorConfig, Rate, Seconds

WIDTH, CONTROL, BLOCKS = 512, 128, 4
DECAY = 0.999
FREQUENCIES = 16  # sines and cosines of the time t


def velocity(dimensions: int, conditions: Conditions, width: int, name: str) -> keras.Model:
    """A network from point x_t (B, D), time t (B, 1) in [0, 1], category, segment and traits to velocity (B, D)."""
    point, moment = keras.Input((dimensions,), name="point"), keras.Input((1,), name="moment")
    condition_inputs, embedded = condition(conditions)
    angles = layers.Dense(FREQUENCIES, kernel_initializer=keras.initializers.RandomNormal(stddev=4.0))(moment)
    waves = layers.Concatenate()([ops.sin(angles), ops.cos(angles), embedded])
    control = layers.Dense(CONTROL, activation="silu")(waves)
    hidden = layers.Dense(width)(point)
    for _ in range(BLOCKS):
        hidden = hidden + _block(hidden, control, width)
    speed = in_float32(layers.Dense(dimensions, kernel_initializer="zeros")(hidden))
    return keras.Model([point, moment, *condition_inputs], speed, name=name)


def _block(hidden: keras.KerasTensor, control: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """The residual (B, width) of a block, zero at the start of training (adaptive norm, Peebles & Xie 2023)."""
    normal = layers.LayerNormalization(center=False, scale=False)(hidden)
    shifted = normal * (1.0 + layers.Dense(width)(control)) + layers.Dense(width)(control)
    inner = layers.Activation("silu")(layers.Dense(width)(shifted))
    return layers.Dense(width, kernel_initializer="zeros")(inner)


@dataclass(frozen=True)
class Plane:
    """The principal components of photos: coordinates = (pixels - mean) @ components / scale.

    mean: float64 [p]; components: float64 [p, d]; scale: float64 [d].
    """

    mean: np.ndarray
    components: np.ndarray
    scale: np.ndarray

    def coordinates(self, pictures: np.ndarray) -> np.ndarray:
        """Coordinates float32 [n, d] of images uint8 [n, h, w, c]."""
        flat = pictures.reshape(len(pictures), -1)
        pieces = [
            (flat[start : start + 4096] / 127.5 - 1.0 - self.mean) @ self.components / self.scale
            for start in range(0, len(flat), 4096)
        ]
        # rounded, so that two runs train on equal numbers
        return np.round(np.concatenate(pieces), 4).astype(np.float32)


def plane(photos: Photos, dimensions: int) -> Plane:
    """The principal components of the photos, with scales.

    Coordinates are divided by the square root of their standard deviation. Without scaling the first few would dominate
    the loss; fully whitened, the last ones, which are noise, would.
    """
    encoder = PictureEncoder.fit(
        photos.pictures, dimensions, shrink=1
    )  # no shrinking, since images are made from the components
    spread = np.sqrt(encoder.variances * 4.0) + 1e-6  # the encoder counts pixels in [0, 1], the flow in [-1, 1]
    scale = spread**0.5
    scale = scale * np.sqrt(np.mean((spread / scale) ** 2))  # unit mean square, as the noise has
    return Plane(encoder.mean * 2.0 - 1.0, encoder.components, scale)


def recipe(flat: Plane, conditions: Conditions, width: int, learning_rate, seed: int) -> Recipe:
    """The training recipe of the flow. Batches must have `coordinates` (B, D), the photos' principal components."""
    dimensions = len(flat.scale)
    moving, slow = (velocity(dimensions, conditions, width, name) for name in ("velocity", "average"))
    draw_initial_weights(seed, moving)
    slow.set_weights(moving.get_weights())
    optimizer = keras.optimizers.Adam(learning_rate, beta_2=0.99)
    optimizer.build(moving.trainable_variables)

    def loss(batch):
        moment = ops.expand_dims(batch["t"], 1)
        point = (1.0 - moment) * batch["z"] + moment * batch["coordinates"]
        guess = moving([point, moment, *masked_conditions(batch)])
        return ops.mean((guess - (batch["coordinates"] - batch["z"])) ** 2), {}

    step = keras.Variable(0, dtype="int32", trainable=False, name="average_step")
    return Recipe(
        networks={"velocity": moving, "average": slow},
        updates=(TrainableGroup("loss", tuple(moving.trainable_variables), optimizer, loss),),
        noises=(Noise("z", (dimensions,)), Noise("t", (), uniform=True), TRAIT_MASK),
        averages=(Average(tuple(moving.variables), tuple(slow.variables), DECAY, step),),
    )


def sampler(flat: Plane, moving: keras.Model, shape: Shape) -> keras.Model:
    """A network from noise z (B, D), category, segment and traits to images (B, H, W, C), along the flow."""
    point = keras.Input((len(flat.scale),), name="z")
    condition_inputs = [keras.Input(given.shape[1:], dtype="int32", name=given.name) for given in moving.inputs[2:]]
    end = Midpoint(moving, dtype="float32", name="path")([point, *condition_inputs])
    pixels = layers.Dense(len(flat.mean), name="pixels", trainable=False)
    pictures = layers.Reshape(shape)(pixels(end))
    pixels.set_weights([(flat.components * flat.scale).T, flat.mean])
    return keras.Model([point, *condition_inputs], pictures, name="flow")


class FlowConfig(GeneratorConfig):
    """The section `creatives.flow`."""

    steps: Count = 900
    max_seconds: Seconds = 240.0
    batch_size: Count = 512
    latent: Count = 128
    learning_rate: Rate = 1.5e-3


def _setup(photos: Photos, config: GeneratorConfig, seed: int, fitted: Fitted | None = None) -> TrainingSetup:
    # weights of an earlier training belong to its components
    flat = plane(photos, config.latent) if fitted is None else Plane(**fitted)
    coordinates = flat.coordinates(photos.pictures)
    trained = recipe(flat, conditions_of(photos), FAMILY.width_of(config), falling_rate(config), seed)
    columns = {"coordinates": coordinates, **trait_columns(photos)}
    slow = trained.networks["average"]
    return TrainingSetup(trained, columns, lambda: sampler(flat, slow, photos.shape), vars(flat))


FAMILY = GeneratorFamily(FlowConfig, WIDTH, _setup)
