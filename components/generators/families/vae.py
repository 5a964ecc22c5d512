"""Conditional variational autoencoder (Kingma & Welling 2014; Sohn et al. 2015), discretised logistic likelihood.

Only the decoder has conditions. The encoder's input is the image alone, so that it can embed any image.
"""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from components.generators.families.class_gaussians import CategoryGaussians
from components.generators.families.networks import (
    TRAIT_MASK,
    Conditions,
    Shape,
    condition,
    convolve_down,
    convolve_up,
    in_float32,
    masked_conditions,
)
from components.generators.generator_family import (
    Fitted,
    GeneratorFamily,
    TrainingSetup,
    conditions_of,
    falling_rate,
    trait_columns,
)
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Recipe, TrainableGroup
from components.generators.training.training_batches import Batches, Noise
from components.interest.models.keras_init import draw_initial_weights
from components.settings.sections import Count, GeneratorConfig, Seconds

WIDTH = 32  # channels after the first halving


def encoder(shape: Shape, latent: int, width: int) -> keras.Model:
    """A network from images (B, H, W, C) in [-1, 1] to mean and log variance of z, (B, 2 * latent)."""
    pictures = keras.Input(shape, name="pictures")
    hidden = layers.Dense(256, activation="relu")(convolve_down(pictures, width))
    return keras.Model(pictures, in_float32(layers.Dense(2 * latent)(hidden)), name="encoder")


def embedder(networks) -> keras.Model:
    """A network from images (B, H, W, C) in [-1, 1] to the mean of q(z|x), (B, latent), for `images.NetworkEncoder`."""
    encode = networks["encoder"]
    return keras.Model(encode.inputs[0], encode.outputs[0][:, : encode.output_shape[1] // 2], name="embedder")


def decoder(shape: Shape, conditions: Conditions, latent: int, width: int) -> keras.Model:
    """A network from z (B, latent), category, segment and traits to mean and raw log scale of pixels, (B, H, W, 2C)."""
    code = keras.Input((latent,), name="z")
    condition_inputs, embedded = condition(conditions)
    hidden = layers.Dense(256, activation="relu")(layers.Concatenate()([code, embedded]))
    return keras.Model(
        [code, *condition_inputs], in_float32(convolve_up(hidden, shape, width, 2 * shape[2])), name="decoder"
    )


def log_likelihood(pictures, decoded):
    """log P(pixels) in nats, (B,): the mass of each 1/255 bin under a logistic density (Salimans et al. 2017, eq. 2).

    pictures: (B, H, W, C) in [-1, 1], multiples of 2/255 from -1; decoded: (B, H, W, 2C).
    """
    mean, raw = ops.split(decoded, 2, axis=-1)
    log_scale = ops.maximum(raw - 2.0, -7.0)  # starts at exp(-2); below exp(-7) one bin has all mass
    half, inverse = 1.0 / 255.0, ops.exp(-log_scale)
    above, below = inverse * (pictures - mean + half), inverse * (pictures - mean - half)
    # log(sigmoid(a) - sigmoid(b)) = a + log(1 - exp(b - a)) - softplus(a) - softplus(b), stable in float32 for a > b
    inside = above + ops.log(-ops.expm1(below - above)) - ops.softplus(above) - ops.softplus(below)
    darkest, lightest = above - ops.softplus(above), -ops.softplus(below)
    pixels = ops.where(pictures < -0.999, darkest, ops.where(pictures > 0.999, lightest, inside))
    return ops.sum(pixels, axis=(1, 2, 3))


def divergence(mean, log_variance):
    """KL(q(z|x) || N(0, 1)) in nats, (B,) (Kingma & Welling 2014, appendix B)."""
    return 0.5 * ops.sum(ops.exp(log_variance) + mean**2 - 1.0 - log_variance, axis=1)


def elbo(encode: keras.Model, decode: keras.Model, batch) -> tuple:
    """(log likelihood, divergence), each (B,) nats, with one draw of z from the batch's noise `z` (B, latent)."""
    pictures = to_unit(batch["pictures"])
    condition_inputs = masked_conditions(batch)
    mean, log_variance = posterior(encode, pictures)
    code = mean + ops.exp(0.5 * log_variance) * batch["z"]
    return log_likelihood(pictures, decode([code, *condition_inputs])), divergence(mean, log_variance)


def posterior(encode: keras.Model, pictures) -> tuple:
    """Mean and log variance of q(z|x), (B, latent) each, of images (B, H, W, C) in [-1, 1]."""
    mean, log_variance = ops.split(encode(pictures), 2, axis=1)
    return mean, ops.clip(log_variance, -10.0, 10.0)


def to_unit(pictures):
    """Images uint8 (B, H, W, C) as float32 in [-1, 1]."""
    return ops.cast(pictures, "float32") / 127.5 - 1.0


def recipe(shape: Shape, conditions: Conditions, latent: int, width: int, learning_rate, *, seed: int) -> Recipe:
    """The training recipe of the VAE: one group of weights, updated to raise the ELBO."""
    networks = {"encoder": encoder(shape, latent, width), "decoder": decoder(shape, conditions, latent, width)}
    draw_initial_weights(seed, *networks.values())
    variables = tuple(networks["encoder"].trainable_variables + networks["decoder"].trainable_variables)
    optimizer = keras.optimizers.Adam(learning_rate, clipnorm=5.0)
    optimizer.build(list(variables))
    pixels = math.prod(shape)

    def loss(batch):
        likelihood, kl = elbo(networks["encoder"], networks["decoder"], batch)
        negative = ops.mean(kl - likelihood)
        # per pixel, so that the learning rate does not depend on the size of images
        return negative / pixels, {"elbo": -negative, "kl": ops.mean(kl)}

    return Recipe(networks, (TrainableGroup("loss", variables, optimizer, loss),), (Noise("z", (latent,)), TRAIT_MASK))


@dataclass(frozen=True)
class Bound:
    """Test ELBO in nats per image, with its standard error over the images."""

    elbo: float
    standard_error: float
    kl: float
    pictures: int


def held_out_bound(networks, photos, seed: int = 0, limit: int = 10_000) -> Bound:
    """The ELBO of held-out photos, with one draw of z each."""
    photos = photos.some(limit)
    count = len(photos.category)
    latent = networks["decoder"].input_shape[0][1]
    columns = {"traits": photos.traits}
    batches = Batches(photos, min(500, count), 1, (Noise("z", (latent,)), TRAIT_MASK), seed, columns)
    pieces = []
    for step in range(count // batches.batch_size):
        batch = {name: ops.convert_to_tensor(values[0]) for name, values in batches.at(step).items()}
        pieces.append([ops.convert_to_numpy(part) for part in elbo(networks["encoder"], networks["decoder"], batch)])
    likelihood, kl = (np.concatenate(parts).astype(np.float64) for parts in zip(*pieces, strict=True))
    bound = likelihood - kl
    return Bound(float(bound.mean()), float(bound.std() / math.sqrt(len(bound))), float(kl.mean()), len(bound))


def _encoded(encode: keras.Model, pictures: np.ndarray, block: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of q(z|x), float64 [n, latent] each, of images uint8 [n, h, w, c]."""
    parts = []
    for start in range(0, len(pictures), block):
        moments = posterior(encode, to_unit(pictures[start : start + block]))
        parts.append([ops.convert_to_numpy(moment).astype(np.float64) for moment in moments])
    means, log_variances = (np.concatenate(part) for part in zip(*parts, strict=True))
    return means, np.exp(log_variances)


def sampler(networks, photos: Photos, limit: int = 20_000) -> keras.Model:
    """A network from noise (B, latent), category, segment and traits to mean images (B, H, W, C) in about [-1, 1].

    The noise is first transformed to the distribution of the encoder's codes of that category, on which the decoder was
    trained. The prior also covers other codes until training makes the two equal (Ghosh et al. 2020, section 3.3).
    """
    encode, decode = networks["encoder"], networks["decoder"]
    some = photos.some(limit)
    means, variances = _encoded(encode, some.pictures)
    placing = CategoryGaussians.fit(means, some.category, len(photos.categories), variances).network()
    noise = keras.Input((means.shape[1],), name="noise")
    condition_inputs = [keras.Input(given.shape[1:], dtype="int32", name=given.name) for given in decode.inputs[1:]]
    decoded = decode([placing([noise, condition_inputs[0]]), *condition_inputs])
    return keras.Model([noise, *condition_inputs], decoded[..., : decode.output_shape[-1] // 2], name="vae")


class VaeConfig(GeneratorConfig):
    """The section `creatives.vae`."""

    steps: Count = 450
    max_seconds: Seconds = 240.0


def _setup(photos: Photos, config: GeneratorConfig, seed: int, _fitted: Fitted | None = None) -> TrainingSetup:
    width, rate = FAMILY.width_of(config), falling_rate(config)
    trained = recipe(photos.shape, conditions_of(photos), config.latent, width, rate, seed=seed)
    return TrainingSetup(
        trained,
        trait_columns(photos),
        sampler=lambda: sampler(trained.networks, photos),
        further=lambda: {"encoder": embedder(trained.networks)},
    )


FAMILY = GeneratorFamily(VaeConfig, WIDTH, _setup)
