"""Conditional Wasserstein GAN with gradient penalty (Gulrajani 2017), projection critic (Miyato & Koyama 2018)."""

import keras
from keras import layers, ops

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
from components.generators.families.vae import to_unit
from components.generators.generator_family import Fitted, GeneratorFamily, TrainingSetup, conditions_of, trait_columns
from components.generators.photos.training_photos import Photos
from components.generators.training.gradient_step import input_gradient
from components.generators.training.recipe import Average, Recipe, TrainableGroup
from components.generators.training.training_batches import Noise
from components.interest.models.keras_init import draw_initial_weights
from components.settings.sections import Count, GeneratorConfig, Rate, Seconds

WIDTH = 32  # channels after the first halving
PENALTY = 10.0  # weight of the gradient penalty; the paper's value
CRITIC_UPDATES = 2  # critic updates per generator update; at this size 5, as in the paper, costs more than it gains
DECAY = 0.995  # of the generator's average, which is used for sampling


def generator_network(shape: Shape, conditions: Conditions, latent: int, width: int, name: str) -> keras.Model:
    """A network from z (B, latent), category, segment and traits to images (B, H, W, C) in (-1, 1)."""
    code = keras.Input((latent,), name="z")
    condition_inputs, embedded = condition(conditions)
    hidden = layers.Dense(256, activation="relu")(layers.Concatenate()([code, embedded]))
    painted = layers.Activation("tanh", dtype="float32")(convolve_up(hidden, shape, width, shape[2]))
    return keras.Model([code, *condition_inputs], painted, name=name)


def critic(shape: Shape, conditions: Conditions, width: int) -> keras.Model:
    """A network from images (B, H, W, C), category, segment and traits to scores (B, 1), higher for real photos."""
    pictures = keras.Input(shape, name="pictures")
    condition_inputs, embedded = condition(conditions)
    features = layers.Dense(128)(convolve_down(pictures, width))
    features = layers.LeakyReLU(0.2)(features)
    match = layers.Dot(axes=1)([features, layers.Dense(128, use_bias=False)(embedded)])
    return keras.Model(
        [pictures, *condition_inputs], in_float32(layers.Add()([layers.Dense(1)(features), match])), name="critic"
    )


def recipe(shape: Shape, conditions: Conditions, latent: int, width: int, learning_rate, *, seed: int) -> Recipe:
    """The training recipe of the GAN: updates of the critic, then of the generator, whose slow average samples.

    The network names are part of files with weights, where the generator is called `painter`.
    """
    paint, judge = generator_network(shape, conditions, latent, width, "painter"), critic(shape, conditions, width)
    slow = generator_network(shape, conditions, latent, width, "average")
    draw_initial_weights(seed, paint, judge)
    slow.set_weights(paint.get_weights())

    def critic_loss(batch):
        condition_inputs = masked_conditions(batch)
        real, made = to_unit(batch["pictures"]), paint([batch["z"], *condition_inputs])
        gap = ops.mean(judge([made, *condition_inputs])) - ops.mean(judge([real, *condition_inputs]))
        share = ops.reshape(batch["between"], (-1, 1, 1, 1))
        slopes = input_gradient(
            lambda pictures: judge([pictures, *condition_inputs]), share * real + (1.0 - share) * made
        )
        steepness = ops.sqrt(ops.sum(slopes**2, axis=(1, 2, 3)) + 1e-12)
        penalty = ops.mean((steepness - 1.0) ** 2)
        return gap + PENALTY * penalty, {"wasserstein": -gap, "penalty": penalty}

    def generator_loss(batch):
        condition_inputs = masked_conditions(batch)
        return -ops.mean(judge([paint([batch["z"], *condition_inputs]), *condition_inputs])), {}

    judging, painting = (
        TrainableGroup(name, tuple(network.trainable_variables), _optimizer(network, learning_rate), loss)
        for name, network, loss in (("critic_loss", judge, critic_loss), ("generator_loss", paint, generator_loss))
    )
    step = keras.Variable(0, dtype="int32", trainable=False, name="average_step")
    average = Average(tuple(paint.variables), tuple(slow.variables), DECAY, step)
    return Recipe(
        networks={"painter": paint, "average": slow, "critic": judge},
        updates=(judging,) * CRITIC_UPDATES + (painting,),
        noises=(Noise("z", (latent,)), Noise("between", (), uniform=True), TRAIT_MASK),
        averages=(average,),
    )


def _optimizer(network: keras.Model, learning_rate) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.9)  # the paper's momenta are 0 and 0.9
    optimizer.build(network.trainable_variables)
    return optimizer


class WganConfig(GeneratorConfig):
    """The section `creatives.wgan`."""

    steps: Count = 350
    max_seconds: Seconds = 240.0
    learning_rate: Rate = 3e-4


def _setup(photos: Photos, config: GeneratorConfig, seed: int, _fitted: Fitted | None = None) -> TrainingSetup:
    width, rate = FAMILY.width_of(config), config.learning_rate
    trained = recipe(photos.shape, conditions_of(photos), config.latent, width, rate, seed=seed)
    return TrainingSetup(trained, trait_columns(photos), lambda: trained.networks["average"])


FAMILY = GeneratorFamily(WganConfig, WIDTH, _setup)
