import numpy as np
import pytest

from components.creatives.admission import Manifold
from components.creatives.personalise import personalise, search
from components.pictures import PictureEncoder


class Lamps:
    """Noise -> the fixture's disc: the first number is its light, the second the light of the ground."""

    latent, segments = 2, 2

    def paint(self, noise, category, segment):
        disc = (np.hypot(*(np.mgrid[:12, :12] - 5.5)) < 4).astype(float)[None, :, :, None]
        light = 170 + 18 * noise[:, 0][:, None, None, None]
        ground = 4 * np.abs(noise[:, 1])[:, None, None, None]
        grain = np.random.default_rng(0).normal(0, 8, (12, 12, 1))
        return np.clip(disc * light + ground + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def manifold(photos):
    return Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, 8))


def light(pictures):
    return pictures[:, 4:8, 4:8].mean(axis=(1, 2, 3)) / 1e4


def ground(pictures):
    return pictures[:, :2, :2].mean(axis=(1, 2, 3)) / 1e4


def test_it_climbs_what_both_models_see_and_stays_on_the_manifold(manifold):
    rounds = list(search(Lamps(), 2, 0, light, light, manifold, steps=6, population=60, seed=0))
    found = personalise(iter(rounds))
    assert found.claimed_gain > 0.001 and found.watched_gain == pytest.approx(found.claimed_gain)
    assert found.steps == 6 and "still agree" in found.reason
    assert manifold.excess(found.picture[None])[0] == 0
    assert np.abs(found.noise).max() < 5


def test_a_gamed_score_is_noticed_and_the_search_abstains(manifold):
    """The climbed model likes a bright ground, which the watching one knows to be worth nothing, or less."""
    rounds = search(Lamps(), 2, 0, ground, lambda pictures: -ground(pictures), manifold, 6, 60, seed=0)
    assert personalise(rounds) is None


def test_parting_later_keeps_the_last_agreed_picture(manifold):
    calls = []

    def forgetful(pictures):
        calls.append(1)
        return light(pictures) if len(calls) <= 3 else light(pictures) * 0

    found = personalise(search(Lamps(), 2, 0, light, forgetful, manifold, 6, 60, seed=0))
    assert found.steps == 2 and "part at round 3" in found.reason


def test_the_seed_decides(manifold):
    one, same = (personalise(search(Lamps(), 2, 0, light, light, manifold, 3, 40, seed=4)) for _ in range(2))
    assert np.array_equal(one.noise, same.noise)
