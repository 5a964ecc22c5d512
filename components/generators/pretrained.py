"""Files of a generator that was trained before, in Adloom's own format -> one beside those that are trained now."""

import re
from collections.abc import Mapping
from dataclasses import replace

import keras
import numpy as np

from components.generators.keras_generator import CARD, NETWORK, NetworkGenerator
from components.generators.photos.photo_attributes import TRAITS
from components.generators.photos.training_photos import Photos
from components.settings.errors import UserError

PREFIX = "pretrained-"  # of its name, so that it is told from one of its family that was trained here
NAME = re.compile("[A-Za-z0-9_-]+")  # names folders, files and MLflow's models


def adopt(files: Mapping[str, bytes], photos: Photos) -> dict[str, NetworkGenerator]:
    """`generator.keras` and `generator.json` -> `pretrained-<its name>` and the generator; no files: none.

    Raises UserError where they are damaged, hold something else, or were made for other photos than `photos`.
    """
    if not files:
        return {}
    keras.utils.clear_session()  # layers are named by a counter of the process, and names are part of stored bytes
    found = NetworkGenerator.from_files(files)
    if not isinstance(found.name, str) or not NAME.fullmatch(found.name):
        raise UserError(f"{CARD}: the name {found.name!r} should be of letters, digits, - and _")
    _check_form(found)
    _check_fit(found, photos)
    generator = replace(found, name=PREFIX + found.name.removeprefix(PREFIX))
    _check_drawing(generator)
    return {generator.name: generator}


def _check_form(found: NetworkGenerator) -> None:
    given = [tuple(tensor.shape[1:]) for tensor in found.network.inputs]
    made = [tuple(tensor.shape[1:]) for tensor in found.network.outputs]
    conditions = [(), (), (TRAITS,)][: max(len(given) - 1, 2)]
    noise = len(given[0]) == 1 and given[0][0]
    if not noise or given[1:] != conditions or [len(shape) for shape in made] != [3]:
        raise UserError(
            f"{NETWORK} makes {made} of {given}; due is a picture (height, width, channels) of noise (n,), "
            f"category (), segment () and, where it takes them, traits ({TRAITS},)"
        )


def _check_fit(found: NetworkGenerator, photos: Photos) -> None:
    for thing, own, due in (
        ("pictures (height, width, channels)", found.shape, photos.shape),
        ("categories", list(found.categories), list(photos.categories)),
        ("number of segments", found.segments, photos.segments),
    ):
        if own != due:
            raise UserError(f"its {thing}: {own}, and not {due} as in this data set")


def _check_drawing(generator: NetworkGenerator) -> None:
    """Draw each category and each segment once: what fails must fail before the others are trained."""
    if not all(np.isfinite(array).all() for array in generator.network.get_weights()):
        raise UserError(f"{NETWORK} is damaged: not all weights are finite")
    codes = np.arange(max(len(generator.categories), generator.segments + 1))
    try:
        generator.sample(codes % len(generator.categories), codes % (generator.segments + 1), seed=0)
    except Exception as error:  # each backend raises its own where a network cannot be run
        raise UserError(f"{NETWORK} cannot draw: {str(error).splitlines()[0]}") from None
