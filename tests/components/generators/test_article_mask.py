"""Tone and build are the article's, on studio photos whose article, tone and share are known; not the ground's."""

import numpy as np
import pytest

from components.generators.photos.article_mask import article
from components.generators.photos.photo_attributes import GROUND, HIGH, LOW, Scales, measure

SIDE = 48
Y, X = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
BODY = (np.abs(X) < 0.45) & (np.abs(Y) < 0.7)
PRINT = (np.abs(X) < 0.2) & (np.abs(Y) < 0.2)


def shirt(random) -> np.ndarray:
    """bool [SIDE, SIDE]: a body with sleeves of random width and height."""
    wide, high = random.uniform(0.25, 0.5), random.uniform(0.45, 0.8)
    sleeves = (np.abs(X) < 1.6 * wide) & (-high < Y) & (-0.4 * high > Y)
    return ((np.abs(X) < wide) & (np.abs(Y) < high)) | sleeves


def studio(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour photos uint8 [n, SIDE, SIDE, 3] on even, sloped, vignetted or spotlit grounds, light or dark; their
    articles' mean grey levels and shares, float64 [n] each."""
    random = np.random.default_rng(seed)
    pictures, tones, shares = [], [], []
    for number in range(count):
        ground = random.uniform(185, 250, 3) if random.random() < 0.7 else random.uniform(20, 110, 3)
        update, depth = random.uniform(0, 2 * np.pi), random.uniform(20, 60)
        shading = (
            np.zeros_like(X),
            depth * (np.cos(update) * X + np.sin(update) * Y) / 1.4,
            -depth * (X**2 + Y**2) / 2,
            depth * (1 - ((X - 0.3) ** 2 + (Y + 0.2) ** 2)) / 2,
        )[number % 4]
        colour = random.uniform(10, 250, 3)
        while np.abs(colour - ground).max() < 60:
            colour = random.uniform(10, 250, 3)
        mask = shirt(random)
        photo = np.where(mask[..., None], colour, ground + shading[..., None]) + random.normal(0, 3, (SIDE, SIDE, 3))
        pictures.append(np.clip(photo, 0, 255).astype(np.uint8))
        tones.append(pictures[-1].mean(axis=2)[mask].mean())
        shares.append(mask.mean())
    return np.array(pictures), np.array(tones), np.array(shares)


@pytest.mark.parametrize("seed", range(3))
def test_tone_and_build_are_the_articles(seed):
    pictures, tones, shares = studio(200, seed)
    tone, build = measure(pictures)
    assert np.quantile(np.abs(tone - tones), 0.95) < 5
    assert np.quantile(np.abs(build - shares), 0.95) < 0.03


def test_dark_and_light_are_told_as_people_would():
    pictures, tones, _ = studio(300, 9)
    codes, _ = Scales.fit(pictures, np.zeros(300, int), 1).codes(pictures, np.zeros(300, int))
    low, high = np.quantile(tones, (1 / 3, 2 / 3))
    due = np.where(tones <= low, LOW, np.where(tones >= high, HIGH, 0))
    assert (codes == due).mean() > 0.95
    assert tones[codes == LOW].max() < np.median(tones), "no near-white shirt is a dark one"


def photo(ground: np.ndarray, mask: np.ndarray, colour, seed: int = 0) -> np.ndarray:
    drawn = np.where(mask[..., None], np.array(colour, float), ground)
    return np.clip(drawn + np.random.default_rng(seed).normal(0, 2, drawn.shape), 0, 255).astype(np.uint8)


WHITE = np.full((SIDE, SIDE, 3), 250.0)
VIGNETTE = WHITE - 60 * ((X**2 + Y**2) / 2)[..., None]


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        (photo(WHITE, BODY, (236, 236, 234)), BODY),
        (photo(WHITE, np.abs(X) < 0.4, (40, 40, 60)), np.abs(X) < 0.4),
        (
            photo(VIGNETTE, (np.abs(X) < 0.92) & (np.abs(Y) < 0.92), (120, 30, 30)),
            (np.abs(X) < 0.92) & (np.abs(Y) < 0.92),
        ),
        (photo(photo(WHITE, BODY, (20, 20, 20)).astype(float), PRINT, (250, 250, 250)), BODY),
        (photo(WHITE - 25.0 * ((np.abs(X) < 0.6) & (Y > 0.75) & (Y < 0.9))[..., None], BODY, (60, 90, 160)), BODY),
    ],
    ids=[
        "white on white",
        "from edge to edge",
        "nearly all of it",
        "with a print like the ground",
        "with a soft shadow",
    ],
)
def test_hard_photos_are_segmented(picture, mask):
    found = article(picture[None])[0]
    assert (found & mask).sum() / (found | mask).sum() > 0.93


def test_an_article_that_cannot_be_told_from_the_ground_is_no_dark_one():
    (tone,), _ = measure(photo(WHITE, np.zeros_like(BODY), 0)[None])
    assert abs(tone - 250) < 2, "the middle of the picture speaks for it"


def test_grey_photos_on_a_light_ground_are_segmented_too():
    picture = photo(VIGNETTE, BODY, (225, 225, 225)).mean(axis=2, keepdims=True).astype(np.uint8)
    assert abs(measure(picture[None])[0][0] - 225) < 6


def test_grey_articles_cut_out_on_black_are_measured_as_before(few_photos):
    """Fashion-MNIST: what differs from the border's median by more than GROUND."""
    pictures = few_photos.pictures[..., None]
    grey = pictures[..., 0].astype(float)
    for picture, tone, build in zip(grey, *measure(pictures), strict=True):
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        mask = np.abs(picture - np.median(border)) > GROUND
        assert build == mask.mean() and tone == pytest.approx(picture[mask].mean())


@pytest.mark.parametrize("shape", [(8, 8, 3), (17, 13, 3), (5, 40, 3)])
def test_any_shape_is_taken(shape):
    pictures = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    assert article(pictures).shape == (3, *shape[:2])
    tone, build = measure(pictures)
    assert np.isfinite(tone).all() and (build > 0).all()
    assert article(pictures[:0]).shape == (0, *shape[:2])
