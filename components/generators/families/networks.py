"""The networks, layer by layer, for pictures of any size and 1 or 3 channels. B: batch, H, W: sides, C: channels.

Only stock Keras layers are used, so that these load without any code of ours; `midpoint.Midpoint` is the exception.
"""

from dataclasses import dataclass

import keras
from keras import layers, ops

from components.generators.photos.photo_attributes import TRAIT_CODES, TRAITS
from components.generators.training.training_batches import Noise

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Conditions:
    """What a generator can be asked for: so many categories and known segments (one more code means unknown)."""

    categories: int
    segments: int


SPOKEN = Noise("spoken", (TRAITS,), uniform=True)
UNSPOKEN_SHARE = 0.5  # of the photos' traits that are hidden in training, so that pictures can be had without them


def condition(conditions: Conditions) -> tuple[list, keras.KerasTensor]:
    """Inputs (category int32 (B,), segment int32 (B,), traits int32 (B, 2)) and their joint embedding (B, 48)."""
    category = keras.Input((), dtype="int32", name="category")
    segment = keras.Input((), dtype="int32", name="segment")
    traits = keras.Input((TRAITS,), dtype="int32", name="traits")
    # one-hot products, not lookups: a lookup's gradient is a scatter, whose order of summation varies between runs
    embedded = layers.Concatenate()(
        [
            layers.Dense(24, use_bias=False)(ops.one_hot(category, conditions.categories)),
            layers.Dense(8, use_bias=False)(ops.one_hot(segment, conditions.segments + 1)),
            layers.Dense(16, use_bias=False)(layers.Flatten()(ops.one_hot(traits, TRAIT_CODES))),
        ]
    )
    return [category, segment, traits], embedded


def asked(batch) -> list:
    """Category, segment and traits of a batch, the traits hidden at random (as in classifier-free guidance)."""
    spoken = ops.cast(batch["spoken"] >= UNSPOKEN_SHARE, "int32")
    return [batch["category"], batch["segment"], batch["traits"] * spoken]


def whole(outputs: keras.KerasTensor) -> keras.KerasTensor:
    """A network's outputs in float32, whatever precision it works in: losses and pictures need the digits."""
    return layers.Activation("linear", dtype="float32")(outputs)


def halvings(shape: Shape) -> list[tuple[int, int]]:
    """Sides after each halving, from the picture's own down to at most 8 pixels: (28, 28), (14, 14), (7, 7)."""
    sides = [shape[:2]]
    while max(sides[-1]) > 8:
        sides.append(tuple((side + 1) // 2 for side in sides[-1]))
    return sides


def convolve_down(pictures: keras.KerasTensor, width: int, slope: float = 0.2) -> keras.KerasTensor:
    """(B, H, W, C) -> (B, features): strided 4x4 convolutions, twice the channels at each halving."""
    hidden = pictures
    for level in range(1, len(halvings(pictures.shape[1:]))):
        hidden = layers.Conv2D(width * 2 ** (level - 1), 4, strides=2, padding="same")(hidden)
        hidden = layers.LeakyReLU(slope)(hidden)
    return layers.Flatten()(hidden)


def convolve_up(features: keras.KerasTensor, shape: Shape, width: int, channels: int) -> keras.KerasTensor:
    """(B, features) -> (B, H, W, channels), linear: the mirror image of `convolve_down`."""
    sides = halvings(shape)
    deepest = width * 2 ** (len(sides) - 2) if len(sides) > 1 else width
    hidden = layers.Dense(sides[-1][0] * sides[-1][1] * deepest, activation="relu")(features)
    hidden = layers.Reshape((*sides[-1], deepest))(hidden)
    for level in range(len(sides) - 2, -1, -1):
        last = level == 0
        filters = channels if last else width * 2 ** (level - 1)
        hidden = layers.Conv2DTranspose(filters, 4, strides=2, padding="same")(hidden)
        hidden = _crop(hidden, sides[level])
        hidden = hidden if last else layers.LeakyReLU(0.2)(hidden)
    return hidden if len(sides) > 1 else layers.Conv2D(channels, 3, padding="same")(hidden)


def _crop(pictures: keras.KerasTensor, sides: tuple[int, int]) -> keras.KerasTensor:
    """An odd side was rounded up when it was halved: cut the surplus row or column off."""
    surplus = (pictures.shape[1] - sides[0], pictures.shape[2] - sides[1])
    return layers.Cropping2D(((0, surplus[0]), (0, surplus[1])))(pictures) if any(surplus) else pictures
