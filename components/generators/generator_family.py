"""What a family of generators is: its settings, and how it is put into training and becomes a sampler."""

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
class Bench:
    """One generator on the bench: its recipe, what each photo adds to a batch, and its sampler once trained.

    columns: name -> array [n, ...], rows as in the photos; sampler: () -> keras.Model from noise and conditions
    to pictures, made from the weights as they are when it is called; fitted: name -> array, saved with the weights of
    its networks, which mean nothing without them; further: () -> {name: keras.Model}, made like the sampler, what a
    trained family leaves behind beside it.
    """

    recipe: Recipe
    columns: Mapping[str, np.ndarray]
    sampler: Callable[[], Any]
    fitted: Fitted = field(default_factory=dict)
    further: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class GeneratorFamily:
    """settings: of the section `creatives.<family>`, with the family's own defaults; width: of its hidden layers where
    the settings leave it open; bench: photos, settings, seed, and the `fitted` of an earlier training, if any -> Bench.
    """

    settings: type[GeneratorConfig]
    width: int
    bench: Callable[..., Bench]

    def width_of(self, config: GeneratorConfig) -> int:
        """The width that the settings ask for, or the family's own."""
        return config.width or self.width


def conditions_of(photos: Photos) -> Conditions:
    """What a generator of these photos can be asked for."""
    return Conditions(len(photos.categories), photos.segments)


def trait_columns(photos: Photos) -> dict[str, np.ndarray]:
    """The column of a batch that holds each photo's tone and build."""
    return {"traits": photos.traits}


def falling_rate(config: GeneratorConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """From the configured rate to 0 along half a cosine (Loshchilov & Hutter 2017)."""
    return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)
