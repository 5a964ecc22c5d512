"""Load a pretrained generator in Adloom's format, to be judged beside those that are trained."""

import re
from collections.abc import Mapping
from dataclasses import replace

import keras
import numpy as np

from components.generators.keras_generator import GENERATOR_CARD, GENERATOR_FILE, NetworkGenerator
from components.generators.photos.photo_attributes import TRAITS
from components.generators.photos.training_photos import Photos
from components.settings.errors import UserError

PRETRAINED_PREFIX = (
    "pretrained-"  # of its name, to distinguish it from a generator of the same family that is trained here
)
NAME_PATTERN = re.compile("[A-Za-z0-9_-]+")  # used in the names of folders, files and MLflow models


def adopt(files: Mapping[str, bytes], photos: Photos) -> dict[str, NetworkGenerator]:
    """`pretrained-<name>` -> the generator in the files `generator.keras` and `generator.json`; {} without files.

    UserError if they are damaged, have other content, or do not fit `photos`.
    """
    if not files:
        return {}
    keras.utils.clear_session()  # resets the process-wide counter in layers' names, which are stored in the file
    loaded = NetworkGenerator.from_files(files)
    if not isinstance(loaded.name, str) or not NAME_PATTERN.fullmatch(loaded.name):
        raise UserError(f"{GENERATOR_CARD}: the name {loaded.name!r} may have letters, digits, - and _ only")
    _check_form(loaded)
    _check_fit(loaded, photos)
    generator = replace(loaded, name=PRETRAINED_PREFIX + loaded.name.removeprefix(PRETRAINED_PREFIX))
    _check_drawing(generator)
    return {generator.name: generator}


def _check_form(generator: NetworkGenerator) -> None:
    """UserError unless the network's inputs and outputs have the shapes of a generator."""
    inputs = [tuple(tensor.shape[1:]) for tensor in generator.network.inputs]
    outputs = [tuple(tensor.shape[1:]) for tensor in generator.network.outputs]
    conditions = [(), (), (TRAITS,)][: max(len(inputs) - 1, 2)]
    noise = len(inputs[0]) == 1 and inputs[0][0]
    if not noise or inputs[1:] != conditions or [len(shape) for shape in outputs] != [3]:
        raise UserError(
            f"{GENERATOR_FILE} makes {outputs} of {inputs}; expected an image (height, width, channels) of noise (n,), "
            f"category (), segment () and optionally traits ({TRAITS},)"
        )


def _check_fit(generator: NetworkGenerator, photos: Photos) -> None:
    """UserError unless image shape, categories and segments are those of `photos`."""
    for name, value, expected in (
        ("images (height, width, channels)", generator.shape, photos.shape),
        ("categories", list(generator.categories), list(photos.categories)),
        ("number of segments", generator.segments, photos.segments),
    ):
        if value != expected:
            raise UserError(f"its {name}: {value}, expected {expected} as in this data set")


def _check_drawing(generator: NetworkGenerator) -> None:
    """UserError if a sample of each category and segment fails, before the other generators are trained."""
    if not all(np.isfinite(array).all() for array in generator.network.get_weights()):
        raise UserError(f"{GENERATOR_FILE} is damaged: not all weights are finite")
    codes = np.arange(max(len(generator.categories), generator.segments + 1))
    try:
        generator.sample(codes % len(generator.categories), codes % (generator.segments + 1), seed=0)
    except Exception as error:  # each backend raises other exceptions for a network that fails
        raise UserError(f"{GENERATOR_FILE} cannot make images: {str(error).splitlines()[0]}") from None
