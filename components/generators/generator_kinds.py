"""The families of generators: how each is put into training and how its trained networks become a sampler."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from components.generators.families import flow, vae, wgan
from components.generators.families.networks import Conditions
from components.generators.photos.photo_attributes import traits
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Recipe
from components.settings.sections import GeneratorConfig

Fitted = Mapping[str, np.ndarray]
WIDTHS = {"vae": vae.WIDTH, "wgan": wgan.WIDTH, "flow": flow.WIDTH}  # where the settings leave it to the family


@dataclass(frozen=True)
class Bench:
    """One generator on the bench: its recipe, what each photo adds to a batch, and its sampler once trained.

    columns: name -> array [n, ...], rows as in the photos; sampler: () -> keras.Model from noise and conditions
    to pictures, made from the weights as they are when it is called; fitted: name -> array, what the weights of its
    networks make sense with alone; further: () -> {name: keras.Model}, made like the sampler, what a trained family
    leaves behind beside it.
    """

    recipe: Recipe
    columns: Mapping[str, np.ndarray]
    sampler: Callable[[], Any]
    fitted: Fitted = field(default_factory=dict)
    further: Callable[[], Mapping[str, Any]] = dict


def _vae(photos: Photos, config: GeneratorConfig, seed: int, _fitted: Fitted | None = None) -> Bench:
    recipe = vae.recipe(photos.shape, _asked(photos), config.latent, _width("vae", config), _falling(config), seed)
    return Bench(
        recipe,
        _traits(photos),
        sampler=lambda: vae.sampler(recipe.networks, photos),
        further=lambda: {"encoder": vae.embedder(recipe.networks)},
    )


def _wgan(photos: Photos, config: GeneratorConfig, seed: int, _fitted: Fitted | None = None) -> Bench:
    recipe = wgan.recipe(
        photos.shape, _asked(photos), config.latent, _width("wgan", config), config.learning_rate, seed
    )
    return Bench(recipe, _traits(photos), lambda: recipe.networks["average"])


def _flow(photos: Photos, config: GeneratorConfig, seed: int, fitted: Fitted | None = None) -> Bench:
    # weights of an earlier training know the coordinates of its plane
    flat = flow.plane(photos, config.latent) if fitted is None else flow.Plane(**fitted)
    coordinates = flat.coordinates(photos.pictures)
    recipe = flow.recipe(flat, _asked(photos), _width("flow", config), _falling(config), seed)
    columns = {"coordinates": coordinates, **_traits(photos)}
    slow = recipe.networks["average"]
    return Bench(recipe, columns, lambda: flow.sampler(flat, slow, photos.shape), vars(flat))


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Networks made in this context work in `policy`, float32 or mixed_bfloat16."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def architecture(name: str, photos: Photos, config: GeneratorConfig) -> dict[str, Any]:
    """What two trainings of the family `name` must share for one to go on from the other's weights, as JSON values."""
    return {
        "shape": list(photos.shape),
        "categories": list(photos.categories),
        "segments": photos.segments,
        "latent": config.latent,
        "width": _width(name, config),
    }


def _width(name: str, config: GeneratorConfig) -> int:
    return config.width or WIDTHS[name]


def _asked(photos: Photos) -> Conditions:
    return Conditions(len(photos.categories), photos.segments)


def _traits(photos: Photos) -> dict[str, np.ndarray]:
    return {"traits": traits(photos.pictures, photos.category, len(photos.categories))}


def _falling(config: GeneratorConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """From the configured rate to 0 along half a cosine (Loshchilov & Hutter 2017)."""
    return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)


FAMILIES: dict[str, Callable[..., Bench]] = {"vae": _vae, "wgan": _wgan, "flow": _flow}
