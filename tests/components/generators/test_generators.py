"""The contract that every generator passes, whatever its family."""

import keras
import numpy as np
import pytest

from components.generators.build_training import start_training
from components.generators.families import vae
from components.generators.generator_kinds import FAMILIES
from components.generators.keras_generator import NetworkGenerator
from components.images import NetworkEncoder
from components.settings.errors import UserError


@pytest.fixture(scope="module", params=FAMILIES)
def training(request, photos):
    config = FAMILIES[request.param].settings(steps=3, max_seconds=120.0, batch_size=8, latent=6)
    training = start_training(request.param, photos, config, seed=0)
    for _ in training.run():
        pass
    return training


@pytest.fixture(scope="module")
def generator(training):
    return training.generator()


def test_pictures_have_the_photos_shape(generator, photos):
    made = generator.sample(np.array([0, 1, 2]), np.array([0, 1, 2]), seed=1)
    assert made.shape == (3, *photos.shape) and made.dtype == np.uint8
    assert generator.categories == photos.categories and generator.segments == photos.segments


def test_the_seed_decides_and_the_number_asked_for_does_not(generator):
    category, segment = np.arange(300) % 3, np.arange(300) % 3
    whole = generator.sample(category, segment, seed=1)
    assert np.array_equal(whole[:5], generator.sample(category[:5], segment[:5], seed=1))
    assert not np.array_equal(whole[:5], generator.sample(category[:5], segment[:5], seed=2))


def test_conditions_change_the_picture(generator):
    noise = np.repeat(generator.noise(1, 0), 3, axis=0)
    by_category = generator.from_noise(noise, np.array([0, 1, 2]), np.zeros(3, int))
    assert len(np.unique(by_category.reshape(3, -1), axis=0)) == 3


def test_tone_and_build_change_the_picture(generator):
    """After three steps by less than a grey level, so the network's own numbers are looked at."""
    given = [generator.noise(1, 0).repeat(2, axis=0), np.zeros(2, np.int32), np.zeros(2, np.int32)]
    inputs = [keras.ops.convert_to_tensor(values) for values in (*given, np.array([[1, 0], [2, 1]], np.int32))]
    made = generator.network(inputs)
    dark, light = keras.ops.convert_to_numpy(made)
    assert np.abs(dark - light).max() > 0


def test_files_give_the_same_generator_back(generator):
    files = generator.files()
    assert all(name.endswith((".keras", ".json")) for name in files)
    again = NetworkGenerator.from_files(files)
    category, segment = np.array([2, 1]), np.array([0, 2])
    assert np.array_equal(again.sample(category, segment, 5), generator.sample(category, segment, 5))
    assert again.name == generator.name


def test_what_cannot_be_asked_for_is_named(generator):
    with pytest.raises(UserError, match="category codes run from 0 to 2"):
        generator.sample(np.array([3]), np.array([0]), 0)
    with pytest.raises(UserError, match="segment codes run from 0 to 2"):
        generator.sample(np.array([0]), np.array([-1]), 0)
    assert generator.sample(np.array([], int), np.array([], int), 0).shape[0] == 0


def test_damaged_files_are_named(generator):
    files = generator.files()
    with pytest.raises(UserError, match=r"generator\.json"):
        NetworkGenerator.from_files({"generator.keras": files["generator.keras"]})
    with pytest.raises(UserError, match="no Keras network"):
        NetworkGenerator.from_files({**files, "generator.keras": b"damaged"})


def test_a_vae_leaves_the_means_of_its_encoder_behind_and_the_others_nothing(training, photos):
    left = training.further()
    if training.name != "vae":
        assert left == {}
        return
    assert set(left) == {"encoder.keras"}
    pictures = photos.pictures[:5]
    mean = vae.posterior(training.networks["encoder"], vae.to_unit(pictures))[0]
    embedded = NetworkEncoder.from_bytes(left["encoder.keras"]).embed(pictures)
    np.testing.assert_allclose(embedded, keras.ops.convert_to_numpy(mean), atol=1e-6)
    assert embedded.shape == (5, 6) and embedded.std(axis=0).min() > 0
