"""Checkpoints: a run that was cut off is gone on from, but only on the photos and the budget that it began with."""

import numpy as np
import pytest

from components import training_log
from components.config import CreativesConfig, GeneratorConfig
from components.creatives.photos import Photos
from components.paths import Paths

PHOTOS = Photos(
    pictures=np.zeros((4, 2, 2, 1), np.uint8),
    category=np.zeros(4, np.int32),
    categories=("bag",),
    segment_weights=np.ones((4, 1), np.float32),
)
CONFIG = CreativesConfig(vae=GeneratorConfig(steps=5, max_seconds=9.0))


@pytest.fixture
def resumed(tmp_path, monkeypatch):
    """Trains until cut off at its first checkpoint; what each start was given to go on from."""
    given = []
    monkeypatch.setattr(training_log, "start_training", lambda *arguments: given.append(arguments[-1]) or Started())

    def cut_off(training, steps, checkpoint, board, every):
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_bytes(b"the state")
        raise KeyboardInterrupt

    monkeypatch.setattr(training_log, "follow", cut_off)

    def train(photos: Photos = PHOTOS, config: CreativesConfig = CONFIG):
        with pytest.raises(KeyboardInterrupt):
            training_log.train("vae", photos, config, Paths.of("shop", workdir=str(tmp_path)))
        return given[-1]

    return train


class Started:
    def summary(self):
        from components.creatives.training import Summary

        return Summary(steps=3, planned=5, seconds=1.0, cpu_seconds=1.0, capped=False)


def test_the_next_start_goes_on_where_the_last_was_cut_off(resumed, caplog):
    assert resumed() is None
    with caplog.at_level("INFO", logger="adloom"):
        assert resumed() == b"the state"
    assert "vae: going on from step 3 of a run that was cut off" in caplog.text


@pytest.mark.parametrize("field", ["pictures", "category", "segment_weights"])
def test_other_photos_begin_anew(resumed, field):
    from dataclasses import replace

    resumed()
    assert resumed(photos=replace(PHOTOS, **{field: getattr(PHOTOS, field) + 1})) is None


def test_another_budget_begins_anew(resumed):
    resumed()
    assert resumed(config=CreativesConfig(vae=GeneratorConfig(steps=6, max_seconds=9.0))) is None


class Collapsing:
    """A training, and its generator, whose pictures are all alike where its seed is one of `bad`."""

    def __init__(self, seed: int, bad: set[int]):
        self.alike = seed in bad

    def generator(self):
        return self

    def checkpoint(self) -> bytes:
        return b""

    def summary(self):
        return Started().summary()

    def sample(self, category, segment, seed):
        drawn = np.random.default_rng(seed).integers(0, 256, (len(category), 2, 2, 1))
        return drawn[:1].repeat(len(category), axis=0) if self.alike else drawn


@pytest.mark.parametrize(("bad", "restarts", "starts"), [((), 1, 1), ((0,), 1, 2), ((0,), 0, 1), ((0, 1, 2, 3), 2, 3)])
def test_a_collapsed_generator_is_trained_again_from_another_seed(tmp_path, monkeypatch, caplog, bad, restarts, starts):
    seeds = [start * training_log.SEEDS_APART for start in range(4)]
    tried = []

    def start(name, photos, budget, seed, resume):
        tried.append(seed)
        return Collapsing(seed, {seeds[each] for each in bad})

    monkeypatch.setattr(training_log, "start_training", start)
    pictures = np.random.default_rng(0).integers(0, 256, (100, 2, 2, 1), dtype=np.uint8)
    photos = Photos(pictures, np.zeros(100, np.int32), ("bag",), np.ones((100, 1), np.float32))
    monkeypatch.setattr(training_log, "follow", lambda *_: None)
    with caplog.at_level("WARNING", logger="adloom"):
        trained = training_log.train(
            "vae", photos, CONFIG.model_copy(update={"restarts": restarts}), Paths.of("shop", workdir=str(tmp_path))
        )
    assert tried == seeds[:starts] and len(trained.diversity) == starts
    assert trained.to_dict()["restarts"] == starts - 1
    assert caplog.text.count("mode collapse") == starts - 1
    assert (trained.diversity[-1] < CONFIG.min_diversity) == (starts - 1 in bad)
