"""The contract that every encoder of pictures passes, whatever its vectors are made of."""

import keras
import numpy as np
import pytest
from keras import layers

from components.generators.build_training import start_training
from components.generators.keras_generator import network_bytes
from components.generators.photos.training_photos import Photos
from components.images import NetworkEncoder, PictureEncoder, fit_all
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig
from tests.components.images.sketches import dense_encoder


@pytest.fixture(scope="module")
def photos(few_photos):
    """600 real photos, 60 of each category."""
    rows = few_photos.split == 0
    category = few_photos.category[rows].astype(np.int32)
    names = tuple(f"category {code}" for code in range(10))
    return Photos(few_photos.pictures[rows][..., None], category, names, np.ones((int(rows.sum()), 1), np.float32))


@pytest.fixture(scope="module", params=["principal components", "network"])
def encoder(request, photos):
    if request.param == "principal components":
        return PictureEncoder.fit(photos.pictures, 8)
    training = start_training("vae", photos, GeneratorConfig(steps=20, max_seconds=60.0, batch_size=32, latent=8), 0)
    for _ in training.run():
        pass
    return NetworkEncoder.from_bytes(training.further()["encoder.keras"])


def test_embeddings_are_finite_numbers_of_the_encoders_length(encoder, photos):
    embedded = encoder.embed(photos.pictures)
    assert encoder.shape == photos.shape and encoder.dimensions == 8
    assert embedded.shape == (600, 8) and embedded.dtype == np.float32 and np.isfinite(embedded).all()
    assert len(np.unique(embedded, axis=0)) == len(np.unique(photos.pictures, axis=0))
    assert encoder.embed(photos.pictures[:0]).shape == (0, 8)


def test_bytes_give_the_same_encoder_back(encoder, photos):
    again = type(encoder).from_bytes(encoder.to_bytes())
    assert again.to_bytes() == encoder.to_bytes()
    assert np.array_equal(again.embed(photos.pictures), encoder.embed(photos.pictures))


def test_an_embedding_depends_on_its_picture_alone(encoder, photos):
    whole = encoder.embed(photos.pictures)
    parts = [encoder.embed(photos.pictures[start:end]) for start, end in ((0, 1), (1, 250), (250, 600))]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-6 * np.abs(whole).max())
    order = np.random.default_rng(0).permutation(600)
    np.testing.assert_allclose(encoder.embed(photos.pictures[order]), whole[order], rtol=0, atol=1e-5)


def test_a_shifted_copy_is_nearer_than_a_photo_of_another_category(encoder, photos):
    embedded = encoder.embed(photos.pictures)
    shifted = encoder.embed(np.roll(photos.pictures, 1, axis=2))
    other = np.random.default_rng(0).permutation(600)
    apart = photos.category[other] != photos.category
    copy = np.linalg.norm(shifted - embedded, axis=1)
    away = np.linalg.norm(embedded[other] - embedded, axis=1)
    assert np.mean(copy[apart] < away[apart]) > 0.95


def test_pictures_of_another_shape_are_refused_by_name_and_can_be_fitted(encoder):
    wide = np.full((2, 14, 28, 3), 200, np.uint8)
    with pytest.raises(UserError, match=r"\(28, 28, 1\), got \(14, 28, 3\)"):
        encoder.embed(wide)
    assert encoder.embed(fit_all(wide, encoder.shape)).shape == (2, 8)
    assert fit_all(wide[:0], encoder.shape).shape == (0, 28, 28, 1)


def saved(inputs, outputs) -> bytes:
    return network_bytes(keras.Model(inputs, outputs))


def two_inputs() -> bytes:
    ends = keras.Input((8, 8, 1)), keras.Input((4,))
    return saved(list(ends), layers.Concatenate()([layers.Flatten()(ends[0]), ends[1]]))


def a_picture_again() -> bytes:
    picture = keras.Input((8, 8, 1))
    return saved(picture, layers.Conv2D(1, 3)(picture))


def any_size() -> bytes:
    picture = keras.Input((None, None, 3))
    return saved(picture, layers.GlobalAveragePooling2D()(picture))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "no Keras network"),
        (lambda: b"something else", "no Keras network"),
        (lambda: dense_encoder()[:-100], "no Keras network"),
        (two_inputs, r"inputs have the shapes \(None, 8, 8, 1\), \(None, 4\) and its outputs \(None, 68\)"),
        (a_picture_again, r"its outputs \(None, 6, 6, 1\)"),
        (any_size, r"inputs have the shapes \(None, None, None, 3\)"),
        (lambda: dense_encoder((8, 8, 2)), r"inputs have the shapes \(None, 8, 8, 2\)"),
        (lambda: dense_encoder(scale=np.nan), "not finite"),
    ],
    ids=["empty", "text", "cut off", "two inputs", "picture", "any size", "two channels", "not finite"],
)
def test_a_file_that_is_no_encoder_is_refused(content, words):
    with pytest.raises(UserError, match=words):
        NetworkEncoder.from_bytes(content())


def test_a_file_that_would_run_code_is_refused():
    picture = keras.Input((8, 8, 1))
    content = saved(picture, layers.Lambda(lambda pixels: pixels[:, 0, :, 0])(picture))
    with pytest.raises(UserError, match="no Keras network"):
        NetworkEncoder.from_bytes(content)
