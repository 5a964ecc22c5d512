import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.simulator.photos.image_look import canonical, fit_look
from components.simulator.photos.product_photos import decode_grey, encode_png, images_table


@pytest.fixture(scope="module")
def look(photos):
    return fit_look(photos.pictures[photos.split == 0])


def test_real_photos_of_the_other_split_are_hardly_penalised(look, photos):
    values, penalty = look.project(photos.pictures[photos.split == 1] / 255.0)
    assert penalty.mean() < 0.05
    assert np.abs(values.mean(axis=0)).max() < 0.3  # standardised on train
    assert np.abs(values.std(axis=0) - 1).max() < 0.3


@pytest.mark.parametrize("kind", ["noise", "black", "white", "grey", "average", "inverted"])
def test_pictures_unlike_photos_are_penalised(kind, look, photos):
    real = photos.pictures[photos.split == 1][:50] / 255.0
    pictures = {
        "noise": np.random.default_rng(0).random((50, 28, 28)),
        "black": np.zeros((1, 28, 28)),
        "white": np.ones((1, 28, 28)),
        "grey": np.full((1, 28, 28), 0.5),
        "average": (photos.pictures[photos.split == 0] / 255.0).mean(axis=0, keepdims=True),
        "inverted": 1 - real,
    }[kind]
    penalty = look.project(pictures)[1]
    assert penalty.min() > 2
    assert penalty.max() <= 3


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_size_has_a_look_and_keeps_its_mean_brightness(height, width, seed):
    picture = np.random.default_rng(seed).random((height, width))
    small = canonical(picture)
    assert small.shape == (28, 28)
    np.testing.assert_allclose(small.mean(), picture.mean(), atol=1e-12)


def test_an_enlarged_photo_has_the_same_look(look, photos):
    photo = photos.pictures[0] / 255.0
    large = canonical(np.kron(photo, np.ones((8, 8))))
    for ours, theirs in zip(look.project(large[None]), look.project(photo[None]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_png_bytes_decode_to_the_same_pixels(height, width, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    np.testing.assert_array_equal(np.rint(decode_grey(encode_png(picture), "x") * 255), picture)


def test_images_table_names_category_and_split(photos):
    table = images_table(photos.head(3, 2))
    assert table["image_id"].tolist() == [
        "photo-train-00000",
        "photo-train-00001",
        "photo-train-00002",
        "photo-test-00000",
        "photo-test-00001",
    ]
    assert table["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert table["category"].iloc[0] == "ankle-boot"  # the first training photo is known to be one
