"""A generator that was trained before: it is as those trained here, under a name of its own, or refused in words."""

import json

import keras
import numpy as np
import pytest

from components.generators.build_training import start_training
from components.generators.photos.training_photos import Photos
from components.generators.pretrained import adopt
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig


@pytest.fixture(scope="module")
def files(photos) -> dict[str, bytes]:
    """A generator of the photos, as Adloom writes it."""
    config = GeneratorConfig(steps=2, max_seconds=60.0, batch_size=8, latent=6)
    training = start_training("vae", photos, config, seed=0)
    for _ in training.run():
        pass
    return training.generator().files()


def carded(files: dict[str, bytes], **fields) -> dict[str, bytes]:
    """The same with other fields on its card."""
    return {**files, "generator.json": json.dumps({**json.loads(files["generator.json"]), **fields}).encode()}


def network(inputs, build) -> bytes:
    from components.generators.keras_generator import network_bytes

    return network_bytes(keras.Model(inputs, build(*inputs)))


def test_it_draws_as_it_was_saved_under_a_name_of_its_own(files, photos):
    from components.generators.keras_generator import NetworkGenerator

    adopted = adopt(files, photos)
    assert list(adopted) == ["pretrained-vae-3"] and adopted["pretrained-vae-3"].name == "pretrained-vae-3"
    asked = np.arange(3), np.array([0, 1, 2])
    saved = NetworkGenerator.from_files(files)
    assert np.array_equal(adopted["pretrained-vae-3"].sample(*asked, 7), saved.sample(*asked, 7))
    again = adopt(adopted["pretrained-vae-3"].files(), photos)
    assert list(again) == ["pretrained-vae-3"], "a package's own generator is adopted under the same name"


def test_without_a_folder_there_is_none(photos):
    assert adopt({}, photos) == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"categories": ["left", "top", "disc"]}, r"categories: \['left', 'top', 'disc'\], expected \['top', 'left'"),
        ({"categories": ["top", "left"]}, r"categories: \['top', 'left'\], expected"),
        ({"segments": 3}, "number of segments: 3, expected 2 as in this data set"),
        ({"segments": "some"}, r"generator\.json has a field of another kind"),
        ({"name": "../words"}, r"generator\.json: the name '\.\./words' may have letters"),
        ({"name": 5}, r"generator\.json: the name 5"),
    ],
)
def test_a_card_that_does_not_fit_is_named_with_what_is_due(files, photos, fields, words):
    with pytest.raises(UserError, match=words):
        adopt(carded(files, **fields), photos)


def test_pictures_of_another_shape_are_named_with_what_is_due(files, photos):
    colour = Photos(photos.pictures.repeat(3, axis=3), photos.category, photos.categories, photos.segment_weights)
    with pytest.raises(UserError, match=r"images .*: \(12, 12, 1\), expected \(12, 12, 3\) as in this data set"):
        adopt(files, colour)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("generator.keras", b"damaged", "no Keras network"),
        ("generator.json", b"damaged", r"generator\.json is not JSON"),
        ("generator.json", b"[]", r"generator\.json has a field of another kind"),
        ("generator.json", b"{}", "'name' is missing"),
    ],
)
def test_damaged_files_are_named(files, photos, name, content, words):
    with pytest.raises(UserError, match=words):
        adopt({**files, name: content}, photos)


def test_a_network_of_another_form_is_named(files, photos):
    pictures = keras.Input((12, 12, 1))
    classifier = network([pictures], lambda given: keras.layers.Flatten()(given))
    with pytest.raises(UserError, match=r"generator\.keras makes \[\(144,\)\] of \[\(12, 12, 1\)\]; expected an image"):
        adopt({**files, "generator.keras": classifier}, photos)


def painter(look_up) -> bytes:
    """A network of a generator's form that takes no traits; look_up: category (B,) -> (B, 144)."""
    inputs = [keras.Input((4,)), keras.Input((), dtype="int32"), keras.Input((), dtype="int32")]
    shaped = keras.layers.Reshape((12, 12, 1))
    return network(inputs, lambda noise, category, segment: shaped(look_up(category)))


def test_one_that_takes_no_traits_is_adopted(files, photos):
    sound = painter(keras.layers.Embedding(3, 144))
    (adopted,) = adopt({**files, "generator.keras": sound}, photos).values()
    assert adopted.sample(np.arange(3), np.zeros(3, int), 0).shape == (3, 12, 12, 1)


def test_a_network_that_cannot_draw_every_category_is_refused(files, photos):
    small = painter(keras.layers.Embedding(2, 144))
    with pytest.raises(UserError, match=r"generator\.keras cannot make images"):
        adopt({**files, "generator.keras": small}, photos)


def test_weights_that_are_no_numbers_are_refused(files, photos):
    broken = painter(keras.layers.Embedding(3, 144, embeddings_initializer=keras.initializers.Constant(np.nan)))
    with pytest.raises(UserError, match=r"generator\.keras is damaged: not all weights are finite"):
        adopt({**files, "generator.keras": broken}, photos)
