import numpy as np
import pytest

from components.images import PictureEncoder, first_duplicates, nearest
from components.settings.errors import UserError


@pytest.fixture(scope="module")
def pictures():
    """200 mixtures of three fixed patterns: a plane of three dimensions, and a little noise."""
    random = np.random.default_rng(3)
    patterns = random.uniform(0, 1, (3, 12, 10, 1))
    weights = random.dirichlet([1, 1, 1], 200)
    mixed = np.einsum("nk,khwc->nhwc", weights, patterns) * 255
    return np.clip(mixed + random.normal(0, 1, mixed.shape), 0, 255).round().astype(np.uint8)


def test_components_match_a_singular_value_decomposition(pictures):
    encoder = PictureEncoder.fit(pictures, 2)
    flat = pictures.reshape(len(pictures), -1) / 255
    centred = flat - flat.mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert np.allclose(encoder.variances, singular[:2] ** 2 / len(flat))
    assert np.allclose(encoder.components.T @ encoder.components, np.eye(2), atol=1e-6)
    assert np.allclose(encoder.embed(pictures).var(axis=0), encoder.variances, rtol=1e-4)


def test_noise_lies_off_the_manifold(pictures):
    encoder = PictureEncoder.fit(pictures, 4)
    noise = np.random.default_rng(0).integers(0, 256, (20, 12, 10, 1), dtype=np.uint8)
    assert encoder.residual(noise).min() > 3 * encoder.residual(pictures).max()


def test_bytes_give_the_same_encoder_back(pictures):
    encoder = PictureEncoder.fit(pictures, 4)
    again = PictureEncoder.from_bytes(encoder.to_bytes())
    assert np.array_equal(again.embed(pictures), encoder.embed(pictures))
    assert again.to_bytes() == encoder.to_bytes()
    assert encoder.embed(pictures).dtype == np.float32


def test_wrong_bytes_and_wrong_shapes_are_named(pictures):
    encoder = PictureEncoder.fit(pictures, 4)
    with pytest.raises(UserError, match="not an image encoder"):
        PictureEncoder.from_bytes(b"something else")
    with pytest.raises(UserError, match="28, 28"):
        encoder.embed(np.zeros((1, 28, 28, 1), np.uint8))
    with pytest.raises(UserError, match="at least 2"):
        PictureEncoder.fit(pictures[:1])


def test_large_colour_pictures_are_shrunk_first():
    large = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    encoder = PictureEncoder.fit(large, 32)
    assert encoder.shrink == 2 and encoder.embed(large).shape == (12, 11)


def test_components_of_many_values_are_those_of_the_whole_decomposition():
    random = np.random.default_rng(3)
    tints = random.uniform(0.2, 1.0, (3, 40 * 40 * 3))
    light = random.uniform(0, 60, (90, 3)) * (4.0, 2.0, 1.0)
    pictures = (light @ tints / 3.0 + random.uniform(0, 4, (90, 4800))).astype(np.uint8).reshape(-1, 40, 40, 3)
    encoder = PictureEncoder.fit(pictures, 3, shrink=1)
    flat = pictures.reshape(90, -1) / 255.0
    _, singular, rows = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    assert encoder.shrink == 1 and encoder.mean.shape == (4800,)
    np.testing.assert_allclose(encoder.variances, singular[:3] ** 2 / 90, rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(encoder.components * rows[:3].T, axis=0)), 1.0, atol=1e-5)


def test_nearest_agrees_with_brute_force():
    random = np.random.default_rng(5)
    queries, references = random.normal(size=(40, 6)), random.normal(size=(300, 6))
    gaps = np.linalg.norm(queries[:, None] - references[None], axis=2)
    indices, distances = nearest(queries, references, 3)
    assert np.array_equal(indices, np.argsort(gaps, axis=1)[:, :3])
    assert np.allclose(distances, np.sort(gaps, axis=1)[:, :3])


def test_only_earlier_kept_rows_make_a_duplicate():
    line = np.array([[0.0], [0.8], [1.6], [0.1], [9.0]])
    assert first_duplicates(line, 1.0).tolist() == [-1, 0, -1, 0, -1]
