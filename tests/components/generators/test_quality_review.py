from dataclasses import replace

import numpy as np
import pytest

from components.generators.photos.training_photos import Photos
from components.generators.quality.photo_classifier import train_classifier
from components.generators.quality.quality_report import Limits, Quality, verdict_of
from components.generators.quality.quality_review import review
from components.settings.sections import CreativesConfig

GOOD = Quality("good-1", 1000, 5.0, 0.1, 0.8, 0.7, 1.0, 0.9, 0.85, 0.9, 0.9, 0.001, 0.1)
GROUND = replace(GOOD, name="real photos", frechet=1.0, memorised=0.001, cas=0.91)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"cas": 0.2}, "CAS"),
        ({"reverse_cas": 0.2}, "show the requested category"),
        ({"diversity": 0.1}, "mode collapse"),
        ({"memorised": 0.2}, "copy a photo"),
        ({"frechet": 500.0}, "Frechet"),
    ],
)
def test_the_gate_refuses_each_fault_by_name(fault, words):
    verdict = verdict_of(replace(GOOD, **fault), GROUND, Limits(), chance=0.1)
    assert not verdict.passed and len(verdict.reasons) == 1 and words in verdict.reasons[0]


def test_the_gate_passes_what_has_none():
    assert verdict_of(GOOD, GROUND, Limits(), chance=0.1).passed


class Fresh:
    """Draws like the fixture's photos do."""

    name, shape, categories, segments = "fresh-1", (12, 12, 1), ("top", "left", "disc"), 2
    wanders = True

    def __init__(self, photos):
        self.shapes = np.stack([photos.pictures[photos.category == code].mean(axis=0) for code in range(3)]) / 170

    def sample(self, category, segment, seed, traits=None):
        random = np.random.default_rng(seed)
        light = random.uniform(120, 220, (len(category), 1, 1, 1)) if self.wanders else 170
        noise = random.normal(0, 8, (len(category), *self.shape)) if self.wanders else 0
        return np.clip(self.shapes[category] * light + noise, 0, 255).astype(np.uint8)


class Collapsed(Fresh):
    """One picture per category, again and again."""

    name, wanders = "collapsed-1", False


def test_a_review_tells_a_sound_generator_from_a_collapsed_one_and_a_copier(photos):
    class Copier(Fresh):
        name = "copier-1"

        def sample(self, category, segment, seed, traits=None):
            random = np.random.default_rng(seed)
            rows = [random.choice(np.flatnonzero(photos.category == code)) for code in category]
            return photos.pictures[rows]

    made = Fresh(photos).sample(np.arange(120) % 3, None, seed=77)
    test = Photos(made, np.arange(120, dtype=np.int32) % 3, photos.categories, photos.segment_weights[:120])
    several = {kind.name: kind(photos) for kind in (Fresh, Collapsed, Copier)}
    judged = review(several, photos, test, CreativesConfig(quality_photos=240, quality_samples=1500))
    assert judged.verdicts["fresh-1"].passed, judged.verdicts
    assert judged.best == "fresh-1" and judged.passing() == ("fresh-1",)
    assert any("mode collapse" in reason for reason in judged.verdicts["collapsed-1"].reasons)
    assert judged.quality["copier-1"].memorised > 0.99 > 0.1 > judged.quality["fresh-1"].memorised
    assert judged.gate().passed and len(judged.gate().reasons) == 3
    none = review({"collapsed-1": several["collapsed-1"]}, photos, None, CreativesConfig(quality_samples=300))
    assert none.best is None and not none.gate().passed


def test_the_classifier_learns_and_repeats_itself(photos):
    one, same = (train_classifier(photos, seed=1, epochs=20) for _ in range(2))
    assert one.accuracy(photos) > 0.95
    assert one.features(photos.pictures[:7]).shape == (7, 128)
    assert np.array_equal(one.features(photos.pictures), same.features(photos.pictures))


CASE = {  # of a real shop in colour: CAS and the share that shows what was asked
    "flow-3": (0.3817, 0.3926, 0.789),
    "vae-3": (0.2957, 0.3068, 0.631),
    "wgan-3": (0.2043, 0.1130, 0.102),
}


def test_limits_follow_what_real_photos_of_the_data_set_reach():
    ground = replace(GROUND, cas=0.430, reverse_cas=0.425, samples=93)
    verdicts = {}
    for name, (cas, asked, diversity) in CASE.items():
        made = replace(GOOD, name=name, cas=cas, reverse_cas=asked, diversity=diversity)
        verdicts[name] = verdict_of(made, ground, Limits(), chance=0.11)
    assert verdicts["flow-3"].passed
    assert not verdicts["wgan-3"].passed
    assert "CAS 0.204 is below 0.270 (real photos: 0.430, guessing: 0.110)" in verdicts["wgan-3"].reasons


@pytest.mark.parametrize(("cas", "asked"), [(0.801, 0.862), (0.790, 0.866), (0.627, 0.633)])
def test_the_marketplaces_generators_pass_as_they_did(cas, asked):
    """The table in docs/measured-generators.md; the VAE that was sampled from its prior is refused as it was."""
    ground = replace(GROUND, cas=0.866, reverse_cas=0.868, samples=5000)
    assert verdict_of(replace(GOOD, cas=cas, reverse_cas=asked), ground, Limits(), chance=0.1).passed
    assert not verdict_of(replace(GOOD, cas=0.695, reverse_cas=0.39), ground, Limits(), chance=0.1).passed


def test_photos_that_nothing_tells_apart_judge_no_generator():
    ground = replace(GROUND, cas=0.36, reverse_cas=0.35, samples=60)
    verdict = verdict_of(replace(GOOD, cas=0.36, reverse_cas=0.36), ground, Limits(), chance=0.34)
    assert not verdict.passed and "too small a difference to judge generators of this data set" in verdict.reasons[0]


def test_photos_of_one_category_leave_nothing_to_tell_apart():
    ground = replace(GROUND, cas=1.0, reverse_cas=1.0)
    assert verdict_of(replace(GOOD, cas=1.0, reverse_cas=1.0), ground, Limits(), chance=1.0).passed
    assert not verdict_of(replace(GOOD, cas=1.0, reverse_cas=1.0, diversity=0.1), ground, Limits(), chance=1.0).passed


def mislabelled(share):
    """Photos and a generator of a data set in which `share` of the labels say nothing."""

    class Hard(Fresh):
        def sample(self, category, segment, seed, traits=None):
            random = np.random.default_rng((seed, 1))
            shown = np.where(random.random(len(category)) < share, random.integers(0, 3, len(category)), category)
            return super().sample(shown, segment, seed, traits)

    return Hard


@pytest.mark.parametrize("share", [0.0, 0.6], ids=["easy", "hard"])
def test_real_photos_pass_for_a_generator_and_a_collapsed_one_does_not(photos, share):
    fresh, collapsed = mislabelled(share)(photos), Collapsed(photos)

    def drawn(count, seed):
        category = (np.arange(count) % 3).astype(np.int32)
        weights = np.repeat(photos.segment_weights[:1], count, axis=0)
        return Photos(fresh.sample(category, None, seed), category, photos.categories, weights)

    train, test = drawn(900, 101), drawn(300, 102)
    config = CreativesConfig(quality_photos=900, quality_samples=1500)
    judged = review({"collapsed-1": collapsed, "fresh-1": fresh}, train, test, config)
    real = judged.real_photos
    assert (real.cas > 0.9) == (share == 0.0) and real.cas > 0.45
    assert judged.verdicts["fresh-1"].passed, judged.verdicts
    assert not judged.verdicts["collapsed-1"].passed
    assert judged.leading() == "fresh-1"


def test_where_none_passes_the_best_draws_for_captions(photos):
    class Noise(Fresh):
        name = "noise-1"

        def sample(self, category, segment, seed, traits=None):
            return np.random.default_rng(seed).integers(0, 256, (len(category), *self.shape), dtype=np.uint8)

    several = {"noise-1": Noise(photos), "collapsed-1": Collapsed(photos)}
    judged = review(several, photos, None, CreativesConfig(quality_samples=300))
    assert judged.best is None and judged.leading() == "collapsed-1"
