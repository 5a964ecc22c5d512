import numpy as np
import pytest

from components.generators.build_training import start_training
from components.generators.photos.photo_attributes import ANY, HIGH, LOW, Scales, measure
from components.generators.quality.photo_classifier import train_classifier
from components.generators.text_to_image.caption_parser import train_parser
from components.generators.text_to_image.captions import NAMES, all_captions, split_captions
from components.generators.text_to_image.text_to_image import TextToImage, train_text_to_image
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig
from tests.components.ads.wordings import exact_matches

CATEGORIES = tuple(NAMES)


@pytest.fixture(scope="module")
def reading():
    return train_parser(CATEGORIES, seed=0)


def test_wordings_never_seen_are_read(reading):
    parser, held_out = reading
    seen = {caption.text for caption in all_captions(CATEGORIES)} - {caption.text for caption in held_out}
    fresh = [caption for caption in held_out if caption.text not in seen]
    assert len(fresh) > 300
    assert exact_matches(parser, fresh) > 0.95


@pytest.mark.parametrize("text", ["a dark ankle boot", "深色短靴", "DARK   ankle boots!!!", "我想要一双暗色的短靴"])
def test_both_languages_mean_the_same(reading, text):
    parsed = reading[0].parse(text)
    assert (CATEGORIES[parsed.category], parsed.tone, parsed.build) == ("ankle-boot", LOW, ANY)


@pytest.mark.parametrize("text", ["", "   ", "xqzv wkjh pfft", "?!", "\U0001f600"])
def test_what_is_not_understood_is_refused(reading, text):
    with pytest.raises(UserError, match=r"empty|understood"):
        reading[0].parse(text)


def test_only_the_beginning_of_a_long_text_is_read(reading):
    assert CATEGORIES[reading[0].parse("light coat " + "and so on " * 1000).category] == "coat"


def test_captions_split_without_overlap():
    captions = all_captions(CATEGORIES)
    seen, held_out = split_captions(captions, 0)
    assert len(seen) + len(held_out) == len(captions) and not set(seen) & set(held_out)


def test_tone_and_build_are_measured_on_the_article():
    pictures = np.zeros((2, 20, 20, 1), np.uint8)
    pictures[0, 5:15, 5:15], pictures[1, 8:12, 8:12] = 200, 80
    tone, build = measure(pictures)
    assert tone.tolist() == [200, 80] and build.tolist() == [0.25, 0.04]


class Bulbs:
    """A generator of discs of random light; category 0 is round, whatever was asked."""

    name, shape, categories, segments = "bulbs-1", (12, 12, 1), CATEGORIES, 0

    def sample(self, category, segment, seed, traits=None):
        light = np.random.default_rng(seed).uniform(60, 250, (len(category), 1, 1, 1))
        disc = (np.hypot(*(np.mgrid[:12, :12] - 5.5)) < 4).astype(float)[None, :, :, None]
        return (disc * light).astype(np.uint8)


class Agreeing:
    """A classifier that sees what it is told to."""

    def __init__(self, code):
        self.code = code

    def probabilities(self, pictures):
        return np.tile(np.arange(len(CATEGORIES)) == self.code, (len(pictures), 1)).astype(float)


def test_pictures_are_drawn_again_until_they_are_as_asked(reading):
    photos = Bulbs().sample(np.zeros(300, int), None, 5)
    scales = Scales.fit(photos, np.arange(300) % len(CATEGORIES), len(CATEGORIES))
    boot = CATEGORIES.index("ankle-boot")
    maker = TextToImage(reading[0], Bulbs(), Agreeing(boot), scales)
    result = maker.draw(["a dark ankle boot"] * 20, np.zeros(20, int), seed=0)
    assert result.accepted.all() and result.attempts.max() > 1
    assert measure(result.pictures)[0].max() < measure(photos)[0].mean()
    bright = maker.draw(["light boots"] * 5, np.zeros(5, int), seed=0)
    assert (scales.codes(bright.pictures, np.full(5, boot))[0] == HIGH).all()
    never = maker.draw(["a dark coat"], np.zeros(1, int), seed=0, max_attempts=4)
    assert never.attempts.tolist() == [4] and not never.accepted.any()


def test_the_next_seed_draws_none_of_the_same_pictures(reading):
    class Noting(Bulbs):
        def sample(self, category, segment, seed, traits=None):
            self.seeds.append(seed)
            return super().sample(category, segment, seed)

    scales, drawn = Scales(np.zeros((len(CATEGORIES), 2)), np.zeros((len(CATEGORIES), 2))), []
    for seed in range(3):
        generator = Noting()
        generator.seeds = []
        maker = TextToImage(reading[0], generator, Agreeing(CATEGORIES.index("bag")), scales)
        maker.draw(["a coat"], np.zeros(1, int), seed=seed, max_attempts=5)
        drawn += generator.seeds
    assert len(drawn) == len(set(drawn)) == 15


def test_what_is_never_met_keeps_its_best_draw(reading):
    """The classifier never agrees, so a draw is the better the more of the tone it shows; most are too light."""
    scales = Scales(np.tile([80.0, 230.0], (len(CATEGORIES), 1)), np.tile([0.0, 0.1], (len(CATEGORIES), 1)))
    maker = TextToImage(reading[0], Bulbs(), Agreeing(CATEGORIES.index("bag")), scales)
    result = maker.draw(["a dark ankle boot"] * 12, np.zeros(12, int), seed=0, max_attempts=40)
    assert not result.accepted.any() and (result.attempts == 40).all()
    assert measure(result.pictures)[0].max() <= 80


def test_files_give_the_same_text_to_image_back(photos):
    config = GeneratorConfig(steps=2, max_seconds=60.0, batch_size=8, latent=6)
    training = start_training("vae", photos, config, seed=0)
    for _ in training.run():
        pass
    maker = train_text_to_image(training.generator(), photos, train_classifier(photos, epochs=1), seed=0)
    again = TextToImage.from_files(maker.files())
    drawn, redrawn = (each.draw(["a dark disc", "left"], np.array([0, 2]), 3, 4) for each in (maker, again))
    assert np.array_equal(drawn.pictures, redrawn.pictures) and np.array_equal(drawn.attempts, redrawn.attempts)
    with pytest.raises(UserError, match="is missing"):
        TextToImage.from_files({name: content for name, content in maker.files().items() if name != "scales.json"})
