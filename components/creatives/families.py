"""The families of generators: how each is put into training and how its trained networks become a sampler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from components.config import GeneratorConfig
from components.creatives import flow, vae, wgan
from components.creatives.attributes import traits
from components.creatives.networks import Conditions
from components.creatives.normals import Normals
from components.creatives.photos import Photos
from components.creatives.recipe import Recipe


@dataclass(frozen=True)
class Bench:
    """One generator on the bench: its recipe, what each photo adds to a batch, and its sampler once trained.

    columns: name -> array [n, ...], rows as in the photos; sampler: () -> keras.Model from noise and conditions
    to pictures, made from the weights as they are when it is called.
    """

    recipe: Recipe
    columns: Mapping[str, np.ndarray]
    sampler: Callable[[], Any]


def _vae(photos: Photos, config: GeneratorConfig, seed: int) -> Bench:
    recipe = vae.recipe(photos.shape, _asked(photos), config.latent, config.width or vae.WIDTH, _falling(config), seed)
    return Bench(recipe, _traits(photos), lambda: vae.sampler(recipe.networks, photos))


def _wgan(photos: Photos, config: GeneratorConfig, seed: int) -> Bench:
    recipe = wgan.recipe(
        photos.shape, _asked(photos), config.latent, config.width or wgan.WIDTH, config.learning_rate, seed
    )
    return Bench(recipe, _traits(photos), lambda: recipe.networks["average"])


def _flow(photos: Photos, config: GeneratorConfig, seed: int) -> Bench:
    flat = flow.plane(photos, config.latent)
    coordinates = flat.coordinates(photos.pictures)
    starts = Normals.fit(coordinates, photos.category, len(photos.categories)).network()
    recipe = flow.recipe(flat, starts, _asked(photos), config.width or flow.WIDTH, _falling(config), seed)
    columns = {"coordinates": coordinates, **_traits(photos)}
    return Bench(recipe, columns, lambda: flow.sampler(flat, starts, recipe.networks["average"], photos.shape))


def _asked(photos: Photos) -> Conditions:
    return Conditions(len(photos.categories), photos.segments)


def _traits(photos: Photos) -> dict[str, np.ndarray]:
    return {"traits": traits(photos.pictures, photos.category, len(photos.categories))}


def _falling(config: GeneratorConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """From the configured rate to 0 along half a cosine (Loshchilov & Hutter 2017)."""
    return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)


FAMILIES: dict[str, Callable[[Photos, GeneratorConfig, int], Bench]] = {"vae": _vae, "wgan": _wgan, "flow": _flow}
