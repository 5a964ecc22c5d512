from dataclasses import replace

import numpy as np
import pytest

from components.config import CreativesConfig
from components.creatives.classifier import train_classifier
from components.creatives.photos import Photos
from components.creatives.quality import Limits, Quality, judge
from components.creatives.review import review

GOOD = Quality("good-1", 1000, 5.0, 0.1, 0.8, 0.7, 1.0, 0.9, 0.85, 0.9, 0.9, 0.001, 0.1)
GROUND = replace(GOOD, name="real photos", frechet=1.0, memorised=0.001, cas=0.91)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"cas": 0.2}, "CAS"),
        ({"reverse_cas": 0.2}, "show what was asked"),
        ({"diversity": 0.1}, "mode collapse"),
        ({"memorised": 0.2}, "copy a photo"),
        ({"frechet": 500.0}, "Frechet"),
    ],
)
def test_the_gate_refuses_each_fault_by_name(fault, words):
    verdict = judge(replace(GOOD, **fault), GROUND, Limits())
    assert not verdict.passed and len(verdict.reasons) == 1 and words in verdict.reasons[0]


def test_the_gate_passes_what_has_none():
    assert judge(GOOD, GROUND, Limits()).passed


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
