import numpy as np
import pytest

from components.ads.copy.copy_choice import Context, combinations, wordings
from components.ads.personalise import Personaliser, personalise, search
from components.features import build_features, fit_features
from components.generators.quality.photo_manifold import Bounds
from components.images import PictureEncoder
from components.interest.segment_scores import draw_audience
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig
from tests.components.features.shop import shop as draw_shop


class Lamps:
    """Noise -> the fixture's disc: the first number is its light, the second the light of the ground."""

    latent, segments, categories = 2, 2, ("top", "left", "disc")

    def from_noise(self, noise, category, segment):
        disc = (np.hypot(*(np.mgrid[:12, :12] - 5.5)) < 4).astype(float)[None, :, :, None]
        light = 170 + 18 * noise[:, 0][:, None, None, None]
        ground = 4 * np.abs(noise[:, 1])[:, None, None, None]
        grain = np.random.default_rng(0).normal(0, 8, (12, 12, 1))
        return np.clip(disc * light + ground + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def manifold(photos):
    return Bounds.fit(photos.pictures, PictureEncoder.fit(photos.pictures, 8))


def light(pictures):
    return pictures[:, 4:8, 4:8].mean(axis=(1, 2, 3)) / 1e4


def ground(pictures):
    return pictures[:, :2, :2].mean(axis=(1, 2, 3)) / 1e4


def test_it_climbs_what_both_models_see_and_stays_on_the_manifold(manifold):
    rounds = list(search(Lamps(), 2, 0, light, light, bounds=manifold, steps=6, population=60, seed=0))
    found = personalise(iter(rounds))
    assert found.claimed_gain > 0.001 and found.watched_gain == pytest.approx(found.claimed_gain)
    assert found.steps == 6 and "still agree" in found.reason
    assert manifold.excess(found.picture[None])[0] == 0
    assert np.abs(found.noise).max() < 5


def test_a_gamed_score_is_noticed_and_the_search_abstains(manifold):
    """The climbed model likes a bright ground, which the watching one knows to be worth nothing, or less."""
    found = personalise(
        search(
            Lamps(), 2, 0, ground, lambda pictures: -ground(pictures), bounds=manifold, steps=6, population=60, seed=0
        )
    )
    assert found.steps == 0 and found.claimed_gain == found.watched_gain == 0.0
    assert found.reason.startswith("round 1: the models disagree")
    assert manifold.excess(found.picture[None])[0] == 0


def test_a_model_that_sees_no_difference_has_nothing_to_personalise_by(manifold):
    def blind(pictures):
        return np.full(len(pictures), 0.02)

    for watch in (blind, light):
        found = personalise(search(Lamps(), 2, 0, blind, watch, bounds=manifold, steps=6, population=60, seed=0))
        assert found.steps == 0 and found.reason == "round 1: the interest model finds no better image"


def test_parting_later_keeps_the_last_agreed_picture(manifold):
    calls = []

    def forgetful(pictures):
        calls.append(1)
        return light(pictures) if len(calls) <= 3 else light(pictures) * 0

    found = personalise(search(Lamps(), 2, 0, light, forgetful, bounds=manifold, steps=6, population=60, seed=0))
    assert found.steps == 2 and found.reason.startswith("round 3: the models disagree")


def test_the_seed_decides(manifold):
    one, same = (
        personalise(search(Lamps(), 2, 0, light, light, bounds=manifold, steps=3, population=40, seed=4))
        for _ in range(2)
    )
    assert np.array_equal(one.noise, same.noise)


class Fond:
    """Click-through that rises with the first coordinate of a picture's look, among the shoppers of one hour alone."""

    def __init__(self, sign: float = 1.0):
        self.sign = sign

    def predict(self, impressions, creatives):
        there = impressions["context_hour_sin"].to_numpy() > 0.5
        look = creatives["creative_look:00"].to_numpy().astype(float)
        return 0.02 + 1e-4 * self.sign * there[:, None] * look[None, :]


@pytest.fixture(scope="module")
def shop():
    tables, settings = draw_shop(), FeaturesConfig(segments=2, text_dimensions=4, image_dimensions=3)
    tables["campaigns"] = tables["campaigns"].assign(brand_color=None)
    model = fit_features(tables, settings)
    return tables, model, draw_audience(build_features(model, tables, settings), 2, 20, seed=0)


@pytest.mark.parametrize(("hour", "watching", "climbs"), [(6, 1.0, True), (18, 1.0, False), (6, -1.0, False)])
def test_a_picture_is_personalised_where_the_context_makes_both_models_like_it(shop, manifold, hour, watching, climbs):
    tables, model, audience = shop
    campaign = wordings(tables)[0]
    words = combinations(campaign, np.random.default_rng(0)).iloc[[0]]
    personaliser = Personaliser((Fond(), Fond(watching)), model, audience, manifold)
    found = personaliser.find(Lamps(), 2, 1, campaign, words, context=Context(None, hour), seed=0)
    assert (found.steps > 0) == climbs and (found.claimed_gain > 0) == climbs
    assert ("finds no better" in found.reason) == (hour == 18)


def test_bounds_come_back_from_their_bytes_and_other_bytes_are_refused(photos, manifold):
    same = Bounds.from_bytes(manifold.to_bytes())
    assert np.array_equal(same.excess(photos.pictures), manifold.excess(photos.pictures))
    assert same.to_bytes() == manifold.to_bytes()
    with pytest.raises(UserError, match="not bounds of photos"):
        Bounds.from_bytes(b"something else")
