"""Conditional variational autoencoder (Kingma & Welling 2014; Sohn et al. 2015), discretised logistic likelihood.

Conditions are the decoder's alone. The encoder sees a picture and nothing else, so that it embeds any picture.
"""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from components.generators.families.class_gaussians import Normals
from components.generators.families.networks import (
    SPOKEN,
    Conditions,
    Shape,
    asked,
    condition,
    convolve_down,
    convolve_up,
    whole,
)
from components.generators.generator_family import (
    Bench,
    Fitted,
    GeneratorFamily,
    conditions_of,
    falling_rate,
    trait_columns,
)
from components.generators.photos.training_photos import Photos
from components.generators.training.recipe import Player, Recipe
from components.generators.training.training_batches import Batches, Noise
from components.interest.models.keras_init import draw_initial_weights
from components.settings.sections import Count, GeneratorConfig, Seconds

WIDTH = 32  # channels after the first halving


def encoder(shape: Shape, latent: int, width: int) -> keras.Model:
    """Pictures (B, H, W, C) in [-1, 1] -> mean and log variance of z, (B, 2 * latent)."""
    pictures = keras.Input(shape, name="pictures")
    hidden = layers.Dense(256, activation="relu")(convolve_down(pictures, width))
    return keras.Model(pictures, whole(layers.Dense(2 * latent)(hidden)), name="encoder")


def embedder(networks) -> keras.Model:
    """Pictures (B, H, W, C) in [-1, 1] -> the mean of q(z|x), (B, latent): what `pictures.NetworkEncoder` runs."""
    encode = networks["encoder"]
    return keras.Model(encode.inputs[0], encode.outputs[0][:, : encode.output_shape[1] // 2], name="embedder")


def decoder(shape: Shape, conditions: Conditions, latent: int, width: int) -> keras.Model:
    """z (B, latent), category, segment, traits -> (B, H, W, 2C): per pixel the mean and a raw log scale."""
    code = keras.Input((latent,), name="z")
    wished, embedded = condition(conditions)
    hidden = layers.Dense(256, activation="relu")(layers.Concatenate()([code, embedded]))
    return keras.Model([code, *wished], whole(convolve_up(hidden, shape, width, 2 * shape[2])), name="decoder")


def log_likelihood(pictures, decoded):
    """log P(pixels) in nats, (B,): mass of each 1/255 bin under a logistic density (Salimans et al. 2017, eq. 2).

    pictures: (B, H, W, C) in [-1, 1], multiples of 2/255 from -1; decoded: (B, H, W, 2C).
    """
    mean, raw = ops.split(decoded, 2, axis=-1)
    log_scale = ops.maximum(raw - 2.0, -7.0)  # starts at exp(-2); below exp(-7) one bin holds all mass
    half, inverse = 1.0 / 255.0, ops.exp(-log_scale)
    above, below = inverse * (pictures - mean + half), inverse * (pictures - mean - half)
    # log(sigmoid(a) - sigmoid(b)) = a + log(1 - exp(b - a)) - softplus(a) - softplus(b): stable in float32, for a > b
    inside = above + ops.log(-ops.expm1(below - above)) - ops.softplus(above) - ops.softplus(below)
    darkest, lightest = above - ops.softplus(above), -ops.softplus(below)
    pixels = ops.where(pictures < -0.999, darkest, ops.where(pictures > 0.999, lightest, inside))
    return ops.sum(pixels, axis=(1, 2, 3))


def divergence(mean, log_variance):
    """KL(q(z|x) || N(0, 1)) in nats, (B,) (Kingma & Welling 2014, appendix B)."""
    return 0.5 * ops.sum(ops.exp(log_variance) + mean**2 - 1.0 - log_variance, axis=1)


def elbo(encode: keras.Model, decode: keras.Model, batch) -> tuple:
    """(log likelihood, divergence), each (B,) nats, with one draw of z; `noise` is standard normal (B, latent)."""
    pictures = to_unit(batch["pictures"])
    wished = asked(batch)
    mean, log_variance = posterior(encode, pictures)
    code = mean + ops.exp(0.5 * log_variance) * batch["z"]
    return log_likelihood(pictures, decode([code, *wished])), divergence(mean, log_variance)


def posterior(encode: keras.Model, pictures) -> tuple:
    """Pictures (B, H, W, C) in [-1, 1] -> mean and log variance of q(z|x), (B, latent) each."""
    mean, log_variance = ops.split(encode(pictures), 2, axis=1)
    return mean, ops.clip(log_variance, -10.0, 10.0)


def to_unit(pictures):
    """uint8 (B, H, W, C) -> float32 in [-1, 1]."""
    return ops.cast(pictures, "float32") / 127.5 - 1.0


def recipe(shape: Shape, conditions: Conditions, latent: int, width: int, learning_rate, seed: int) -> Recipe:
    """The VAE in training: one player that raises the ELBO."""
    networks = {"encoder": encoder(shape, latent, width), "decoder": decoder(shape, conditions, latent, width)}
    draw_initial_weights(seed, *networks.values())
    variables = tuple(networks["encoder"].trainable_variables + networks["decoder"].trainable_variables)
    optimizer = keras.optimizers.Adam(learning_rate, clipnorm=5.0)
    optimizer.build(list(variables))
    pixels = math.prod(shape)

    def loss(batch):
        likelihood, kl = elbo(networks["encoder"], networks["decoder"], batch)
        negative = ops.mean(kl - likelihood)
        # per pixel, so that the learning rate means the same at every picture size
        return negative / pixels, {"elbo": -negative, "kl": ops.mean(kl)}

    return Recipe(networks, (Player("loss", variables, optimizer, loss),), (Noise("z", (latent,)), SPOKEN))


@dataclass(frozen=True)
class Bound:
    """Test ELBO in nats per picture, with its standard error over the pictures."""

    elbo: float
    standard_error: float
    kl: float
    pictures: int


def held_out_bound(networks, photos, seed: int = 0, limit: int = 10_000) -> Bound:
    """Held-out photos -> the bound on their log probability, one draw of z each."""
    photos = photos.some(limit)
    count = len(photos.category)
    latent = networks["decoder"].input_shape[0][1]
    columns = {"traits": photos.traits}
    batches = Batches(photos, min(500, count), 1, (Noise("z", (latent,)), SPOKEN), seed, columns)
    pieces = []
    for step in range(count // batches.batch_size):
        batch = {name: ops.convert_to_tensor(values[0]) for name, values in batches.at(step).items()}
        pieces.append([ops.convert_to_numpy(part) for part in elbo(networks["encoder"], networks["decoder"], batch)])
    likelihood, kl = (np.concatenate(parts).astype(np.float64) for parts in zip(*pieces, strict=True))
    bound = likelihood - kl
    return Bound(float(bound.mean()), float(bound.std() / math.sqrt(len(bound))), float(kl.mean()), len(bound))


def _encoded(encode: keras.Model, pictures: np.ndarray, block: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [n, h, w, c] -> means and variances of q(z|x), float64 [n, latent] each."""
    parts = []
    for start in range(0, len(pictures), block):
        found = posterior(encode, to_unit(pictures[start : start + block]))
        parts.append([ops.convert_to_numpy(part).astype(np.float64) for part in found])
    means, log_variances = (np.concatenate(part) for part in zip(*parts, strict=True))
    return means, np.exp(log_variances)


def sampler(networks, photos: Photos, limit: int = 20_000) -> keras.Model:
    """Normal noise (B, latent), category, segment, traits -> pictures (B, H, W, C) in about [-1, 1], the mean alone.

    The noise is first moved to where the encoder puts photos of that category: the decoder has learned there, and the
    prior reaches other places too until training has pressed the two together (Ghosh et al. 2020, section 3.3).
    """
    encode, decode = networks["encoder"], networks["decoder"]
    some = photos.some(limit)
    means, variances = _encoded(encode, some.pictures)
    placing = Normals.fit(means, some.category, len(photos.categories), variances).network()
    noise = keras.Input((means.shape[1],), name="noise")
    wished = [keras.Input(given.shape[1:], dtype="int32", name=given.name) for given in decode.inputs[1:]]
    decoded = decode([placing([noise, wished[0]]), *wished])
    return keras.Model([noise, *wished], decoded[..., : decode.output_shape[-1] // 2], name="vae")


class VaeConfig(GeneratorConfig):
    """The section `creatives.vae`."""

    steps: Count = 450
    max_seconds: Seconds = 240.0


def _bench(photos: Photos, config: GeneratorConfig, seed: int, _fitted: Fitted | None = None) -> Bench:
    width, rate = FAMILY.width_of(config), falling_rate(config)
    trained = recipe(photos.shape, conditions_of(photos), config.latent, width, rate, seed)
    return Bench(
        trained,
        trait_columns(photos),
        sampler=lambda: sampler(trained.networks, photos),
        further=lambda: {"encoder": embedder(trained.networks)},
    )


FAMILY = GeneratorFamily(VaeConfig, WIDTH, _bench)
