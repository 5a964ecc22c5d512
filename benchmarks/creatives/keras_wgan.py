"""The WGAN-GP of the Keras examples (A. K. Nain 2020, "WGAN-GP overriding Model.train_step"), made conditional.

Networks, learning rates, three critic steps and a batch of 512 are the example's. It is unconditional there; here the
category enters as one-hot channels of the critic's input and with the generator's noise, since CAS needs labelled
images.
"""

import keras
from keras import layers, ops

from components.generators.generator_family import TrainingSetup
from components.generators.photos.training_photos import Photos
from components.generators.training.gradient_step import input_gradient
from components.generators.training.recipe import Recipe, TrainableGroup
from components.generators.training.training_batches import Noise
from components.settings.sections import GeneratorConfig

LATENT, CRITIC_UPDATES, PENALTY = 128, 3, 10.0


def setup(photos: Photos, config: GeneratorConfig, seed: int) -> TrainingSetup:
    """The training set-up of the example for 28x28 grey photos."""
    keras.utils.set_random_seed(seed)
    paint, judge = _painter(len(photos.categories)), _critic(len(photos.categories))

    def critic_loss(batch):
        real = ops.cast(batch["pictures"], "float32") / 127.5 - 1.0
        made = paint([batch["z"], batch["category"], batch["segment"]], training=True)
        gap = ops.mean(judge([made, batch["category"]], training=True))
        gap = gap - ops.mean(judge([real, batch["category"]], training=True))
        share = ops.reshape(batch["between"], (-1, 1, 1, 1))
        mixed = real + share * (made - real)
        slopes = input_gradient(lambda pictures: judge([pictures, batch["category"]], training=True), mixed)
        norm = ops.sqrt(ops.sum(slopes**2, axis=(1, 2, 3)) + 1e-12)
        return gap + PENALTY * ops.mean((norm - 1.0) ** 2), {}

    def generator_loss(batch):
        made = paint([batch["z"], batch["category"], batch["segment"]], training=True)
        return -ops.mean(judge([made, batch["category"]], training=True)), {}

    groups = []
    for name, network, loss in (("critic_loss", judge, critic_loss), ("generator_loss", paint, generator_loss)):
        optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.9)
        optimizer.build(network.trainable_variables)
        groups.append(TrainableGroup(name, tuple(network.trainable_variables), optimizer, loss))
    noises = (Noise("z", (LATENT,)), Noise("between", (), uniform=True))
    updates = (groups[0],) * CRITIC_UPDATES + (groups[1],)
    return TrainingSetup(Recipe({"painter": paint, "critic": judge}, updates, noises), {}, lambda: paint)


def _critic(categories: int) -> keras.Model:
    pictures, category = keras.Input((28, 28, 1)), keras.Input((), dtype="int32")
    plane = layers.RepeatVector(28 * 28)(ops.one_hot(category, categories))
    hidden = layers.Concatenate()([pictures, layers.Reshape((28, 28, categories))(plane)])
    hidden = layers.ZeroPadding2D(2)(hidden)
    for filters, drop in ((64, 0.0), (128, 0.3), (256, 0.3), (512, 0.0)):
        hidden = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 5, strides=2, padding="same")(hidden))
        hidden = layers.Dropout(drop)(hidden) if drop else hidden
    hidden = layers.Dropout(0.2)(layers.Flatten()(hidden))
    return keras.Model([pictures, category], layers.Dense(1)(hidden))


def _painter(categories: int) -> keras.Model:
    code = keras.Input((LATENT,))
    category, segment = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    hidden = layers.Concatenate()([code, ops.one_hot(category, categories)])
    hidden = layers.BatchNormalization()(layers.Dense(4 * 4 * 256, use_bias=False)(hidden))
    hidden = layers.Reshape((4, 4, 256))(layers.LeakyReLU(0.2)(hidden))
    for filters in (128, 64):
        hidden = layers.Conv2D(filters, 3, padding="same", use_bias=False)(layers.UpSampling2D(2)(hidden))
        hidden = layers.LeakyReLU(0.2)(layers.BatchNormalization()(hidden))
    hidden = layers.Conv2D(1, 3, padding="same", use_bias=False)(layers.UpSampling2D(2)(hidden))
    painted = layers.Activation("tanh")(layers.BatchNormalization()(hidden))
    return keras.Model([code, category, segment], layers.Cropping2D(2)(painted))
