"""The families of generators by name; one line adds a family, whose settings are in the section `creatives.<name>`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from components.generators.families import flow, vae, wgan
from components.generators.generator_family import GeneratorFamily
from components.generators.photos.training_photos import Photos
from components.settings.errors import UserError
from components.settings.sections import CreativesConfig, GeneratorConfig
from components.settings.typed_settings import kind_settings

FAMILIES: dict[str, GeneratorFamily] = {"vae": vae.FAMILY, "wgan": wgan.FAMILY, "flow": flow.FAMILY}


def family(name: str) -> GeneratorFamily:
    """The family called `name`; UserError lists the known ones."""
    if name not in FAMILIES:
        raise UserError(f"no family of generators is called {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def generator_settings(config: CreativesConfig, name: str) -> GeneratorConfig:
    """The section `creatives.<name>`, typed and with the family's defaults; UserError names a wrong setting."""
    return kind_settings(config, "creatives", name, family(name).settings)


def check_families(config: CreativesConfig) -> None:
    """UserError if a family that is to be trained, or has a section, is unknown, or a section is wrong."""
    unknown = next((name for name in (*config.generators, *config.families) if name not in FAMILIES), None)
    if unknown is not None:
        place = "creatives.generators" if unknown in config.generators else f"creatives.{unknown}"
        raise UserError(f"{place}: no family of generators is called {unknown!r}; there are {', '.join(FAMILIES)}")
    for name in {*config.generators, *config.families}:
        generator_settings(config, name)


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Within this context, networks are made with the precision `policy`, float32 or mixed_bfloat16."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def architecture(name: str, photos: Photos, config: GeneratorConfig) -> dict[str, Any]:
    """JSON values that must be equal in two trainings of family `name` for one to start from the other's weights."""
    return {
        "shape": list(photos.shape),
        "categories": list(photos.categories),
        "segments": photos.segments,
        "latent": config.latent,
        "width": family(name).width_of(config),
    }
