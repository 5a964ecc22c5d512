"""The records that define a family of generators: its settings, its training and its sampler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from components.generators.families.networks import Conditions
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Recipe
from components.settings.sections import GeneratorConfig

Fitted = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class TrainingSetup:
    """A generator ready for training: its recipe, further columns of its batches, and its sampler.

    columns: name -> array [n, ...], rows as in the photos; sampler: () -> keras.Model from noise and conditions to
    images, with the weights at the time of the call; fitted: name -> array, saved with the weights of the networks,
    because the weights mean nothing without them; further: () -> {name: keras.Model}, other networks of a trained
    family, such as an encoder.
    """

    recipe: Recipe
    columns: Mapping[str, np.ndarray]
    sampler: Callable[[], Any]
    fitted: Fitted = field(default_factory=dict)
    further: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class GeneratorFamily:
    """A family. settings: type of the section `creatives.<family>`, with defaults; width: default of the hidden layers.

    setup: (photos, settings, seed, `fitted` of an earlier training or None) -> TrainingSetup.
    """

    settings: type[GeneratorConfig]
    width: int
    setup: Callable[..., TrainingSetup]

    def width_of(self, config: GeneratorConfig) -> int:
        """The configured width, or the family's default."""
        return config.width or self.width


def conditions_of(photos: Photos) -> Conditions:
    """The conditions of generators of these photos."""
    return Conditions(len(photos.categories), photos.segments)


def trait_columns(photos: Photos) -> dict[str, np.ndarray]:
    """The column `traits` of batches: each photo's tone and build."""
    return {"traits": photos.traits}


def falling_rate(config: GeneratorConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate from the configured one to 0 along half a cosine (Loshchilov & Hutter 2017)."""
    return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)
