"""Building blocks of the networks, for images of any size with 1 or 3 channels. B: batch, H, W: sides, C: channels.

They use only Keras's own layers, so that networks load without Adloom's code; only `ode_sampler.Midpoint` is custom.
"""

from dataclasses import dataclass

import keras
from keras import layers, ops

from components.generators.photos.photo_attributes import TRAIT_CODES, TRAITS
from components.generators.training.training_batches import Noise

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Conditions:
    """The conditions of a generator: numbers of categories and of known segments (one more code means unknown)."""

    categories: int
    segments: int


TRAIT_MASK = Noise("trait_mask", (TRAITS,), uniform=True)
MASKED_SHARE = (
    0.5  # of the photos' traits that are masked in training, so that images can be made without requested traits
)


def condition(conditions: Conditions) -> tuple[list, keras.KerasTensor]:
    """Inputs (category int32 (B,), segment int32 (B,), traits int32 (B, 2)) and their joint embedding (B, 48)."""
    category = keras.Input((), dtype="int32", name="category")
    segment = keras.Input((), dtype="int32", name="segment")
    traits = keras.Input((TRAITS,), dtype="int32", name="traits")
    # one-hot products, since the gradient of a lookup is a scatter, whose order of summation varies between runs
    embedded = layers.Concatenate()(
        [
            layers.Dense(24, use_bias=False)(ops.one_hot(category, conditions.categories)),
            layers.Dense(8, use_bias=False)(ops.one_hot(segment, conditions.segments + 1)),
            layers.Dense(16, use_bias=False)(layers.Flatten()(ops.one_hot(traits, TRAIT_CODES))),
        ]
    )
    return [category, segment, traits], embedded


def masked_conditions(batch) -> list:
    """Category, segment and traits of a batch, with the traits masked at random (as in classifier-free guidance)."""
    shown = ops.cast(batch["trait_mask"] >= MASKED_SHARE, "int32")
    return [batch["category"], batch["segment"], batch["traits"] * shown]


def in_float32(outputs: keras.KerasTensor) -> keras.KerasTensor:
    """A network's outputs in float32, also if it computes in a lower precision, for losses and images."""
    return layers.Activation("linear", dtype="float32")(outputs)


def halvings(shape: Shape) -> list[tuple[int, int]]:
    """Sides after each halving, from the image's down to at most 8 pixels: (28, 28), (14, 14), (7, 7)."""
    sides = [shape[:2]]
    while max(sides[-1]) > 8:
        sides.append(tuple((side + 1) // 2 for side in sides[-1]))
    return sides


def convolve_down(pictures: keras.KerasTensor, width: int, slope: float = 0.2) -> keras.KerasTensor:
    """Features (B, features) of images (B, H, W, C), by strided 4x4 convolutions that double the channels."""
    hidden = pictures
    for level in range(1, len(halvings(pictures.shape[1:]))):
        hidden = layers.Conv2D(width * 2 ** (level - 1), 4, strides=2, padding="same")(hidden)
        hidden = layers.LeakyReLU(slope)(hidden)
    return layers.Flatten()(hidden)


def convolve_up(features: keras.KerasTensor, shape: Shape, width: int, channels: int) -> keras.KerasTensor:
    """Images (B, H, W, channels) from features (B, features), without a final activation; reverses `convolve_down`."""
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
    """Images without the surplus row or column of an odd side, which was rounded up when halved."""
    surplus = (pictures.shape[1] - sides[0], pictures.shape[2] - sides[1])
    return layers.Cropping2D(((0, surplus[0]), (0, surplus[1])))(pictures) if any(surplus) else pictures
