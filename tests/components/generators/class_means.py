"""A fourth family, as a user would add it: the mean picture of each category, and noise as photos differ by."""

from typing import Annotated

import keras
import numpy as np
from keras import layers, ops
from pydantic import Field

from components.generators.families.flow import plane
from components.generators.families.networks import TRAIT_MASK, condition, masked_conditions
from components.generators.families.vae import to_unit
from components.generators.generator_family import Fitted, GeneratorFamily, TrainingSetup, conditions_of, trait_columns
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Recipe, TrainableGroup
from components.interest.models.keras_init import draw_initial_weights
from components.settings.sections import Count, GeneratorConfig, Rate, Seconds


class MeansConfig(GeneratorConfig):
    """The section `creatives.means`."""

    steps: Count = 200
    max_seconds: Seconds = 60.0
    latent: Count = 128
    learning_rate: Rate = 0.05
    spread: Annotated[float, Field(ge=0)] = 0.5  # of the noise; 1: as all photos differ from their mean


def _setup(photos: Photos, config: MeansConfig, seed: int, _fitted: Fitted | None = None) -> TrainingSetup:
    conditions, pixels = conditions_of(photos), int(np.prod(photos.shape))
    inputs, embedded = condition(conditions)
    known = layers.Concatenate()([ops.one_hot(inputs[0], conditions.categories), embedded])
    means = keras.Model(inputs, layers.Reshape(photos.shape)(layers.Dense(pixels)(known)), name="means")
    draw_initial_weights(seed, means)
    optimizer = keras.optimizers.Adam(config.learning_rate)
    optimizer.build(means.trainable_variables)

    def loss(batch):
        return ops.mean((means(masked_conditions(batch)) - to_unit(batch["pictures"])) ** 2), {}

    group = TrainableGroup("loss", tuple(means.trainable_variables), optimizer, loss)
    recipe = Recipe({"means": means}, (group,), (TRAIT_MASK,))

    def sampler() -> keras.Model:
        noise = keras.Input((config.latent,), name="noise")
        asked_for = [keras.Input(given.shape[1:], dtype="int32", name=given.name) for given in means.inputs]
        grain = layers.Dense(pixels, use_bias=False, name="grain")
        drawn = layers.Reshape(photos.shape)(grain(noise))
        network = keras.Model([noise, *asked_for], means(asked_for) + drawn, name="class_means")
        flat = plane(photos, config.latent)  # the first principal components: a coordinate's spread is its scale
        spread = flat.coordinates(photos.pictures).std(axis=0) * flat.scale
        grain.set_weights([config.spread * (flat.components * spread).T])
        return network

    return TrainingSetup(recipe, trait_columns(photos), sampler)


FAMILY = GeneratorFamily(MeansConfig, width=1, setup=_setup)
