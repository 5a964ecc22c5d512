"""Checkpoints: a run that was cut off is gone on from, but only on the photos and the budget that it began with."""

import numpy as np
import pytest

from components.generators.photos.training_photos import Photos
from components.settings.paths import Paths
from components.settings.sections import CreativesConfig, GeneratorConfig
from components.workflow import checkpointed_training

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
    calls = []
    monkeypatch.setattr(
        checkpointed_training, "start_training", lambda *_, resume, **__: calls.append(resume) or Started()
    )

    def cut_off(training, steps, checkpoint, board, seconds):
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_bytes(b"the state")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpointed_training, "run_with_checkpoints", cut_off)

    def train(photos: Photos = PHOTOS, config: CreativesConfig = CONFIG):
        with pytest.raises(KeyboardInterrupt):
            checkpointed_training.train("vae", photos, config, Paths.of("shop", workdir=str(tmp_path)))
        return calls[-1]

    return train


class Started:
    def summary(self):
        from components.generators.training.training_loop import Summary

        return Summary(steps=3, planned=5, seconds=1.0, cpu_seconds=1.0, capped=False)


def test_the_next_start_goes_on_where_the_last_was_cut_off(resumed, caplog):
    assert resumed() is None
    with caplog.at_level("INFO", logger="adloom"):
        assert resumed() == b"the state"
    assert "vae: continued from step 3 of an interrupted run" in caplog.text


@pytest.mark.parametrize("field", ["pictures", "category", "segment_weights"])
def test_other_photos_begin_anew(resumed, field):
    from dataclasses import replace

    resumed()
    assert resumed(photos=replace(PHOTOS, **{field: getattr(PHOTOS, field) + 1})) is None


def test_other_code_begins_anew(resumed, monkeypatch):
    resumed()
    monkeypatch.setattr(checkpointed_training, "digest_code", lambda source: "0" * 64)
    assert resumed() is None


@pytest.mark.parametrize("bad", [(), (0,)])
def test_a_training_that_is_done_is_kept_until_its_stage_is(tmp_path, monkeypatch, bad):
    """A later generator, the review or the pool may fail; each start of a training has a checkpoint of its own."""
    given, paths = [], Paths.of("shop", workdir=str(tmp_path))

    def start(name, photos, budget, seed, resume, earlier):
        given.append((seed, resume))
        return Collapsing(seed, set(bad))

    def run_with_checkpoints(training, steps, checkpoint, board, seconds):
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_bytes(f"after seed {given[-1][0]}".encode())

    monkeypatch.setattr(checkpointed_training, "start_training", start)
    monkeypatch.setattr(checkpointed_training, "run_with_checkpoints", run_with_checkpoints)
    pictures = np.random.default_rng(0).integers(0, 256, (100, 2, 2, 1), dtype=np.uint8)
    photos = Photos(pictures, np.zeros(100, np.int32), ("bag",), np.ones((100, 1), np.float32))
    seeds = [start * checkpointed_training.RESTART_SEED_STEP for start in range(1 + len(bad))]
    nothing, all_of_it = [(seed, None) for seed in seeds], [(seed, f"after seed {seed}".encode()) for seed in seeds]
    for resumed_from in (nothing, all_of_it, all_of_it):
        given.clear()
        checkpointed_training.train("vae", photos, CONFIG, paths)
        assert given == resumed_from
    checkpointed_training.clear_checkpoints(paths)
    given.clear()
    checkpointed_training.train("vae", photos, CONFIG, paths)
    assert given == nothing


def test_another_budget_begins_anew(resumed):
    resumed()
    assert resumed(config=CreativesConfig(vae=GeneratorConfig(steps=6, max_seconds=9.0))) is None


class Collapsing:
    """A training, and its generator, whose pictures are all alike where its seed is one of `bad`."""

    def __init__(self, seed: int, bad: set[int]):
        self.alike = seed in bad

    def generator(self):
        return self

    def further(self) -> dict[str, bytes]:
        return {}

    def checkpoint(self) -> bytes:
        return b""

    def summary(self):
        return Started().summary()

    def sample(self, category, segment, seed):
        drawn = np.random.default_rng(seed).integers(0, 256, (len(category), 2, 2, 1))
        return drawn[:1].repeat(len(category), axis=0) if self.alike else drawn


@pytest.mark.parametrize(("bad", "restarts", "starts"), [((), 1, 1), ((0,), 1, 2), ((0,), 0, 1), ((0, 1, 2, 3), 2, 3)])
def test_a_collapsed_generator_is_trained_again_from_another_seed(tmp_path, monkeypatch, caplog, bad, restarts, starts):
    seeds = [start * checkpointed_training.RESTART_SEED_STEP for start in range(4)]
    tried = []

    def start(name, photos, budget, seed, resume, earlier):
        tried.append(seed)
        return Collapsing(seed, {seeds[number] for number in bad})

    monkeypatch.setattr(checkpointed_training, "start_training", start)
    pictures = np.random.default_rng(0).integers(0, 256, (100, 2, 2, 1), dtype=np.uint8)
    photos = Photos(pictures, np.zeros(100, np.int32), ("bag",), np.ones((100, 1), np.float32))
    monkeypatch.setattr(checkpointed_training, "run_with_checkpoints", lambda *_: None)
    with caplog.at_level("WARNING", logger="adloom"):
        trained = checkpointed_training.train(
            "vae", photos, CONFIG.model_copy(update={"restarts": restarts}), Paths.of("shop", workdir=str(tmp_path))
        )
    assert tried == seeds[:starts] and len(trained.diversity) == starts
    assert trained.to_dict()["restarts"] == starts - 1
    assert caplog.text.count("mode collapse") == starts - 1
    assert (trained.diversity[-1] < CONFIG.min_diversity) == (starts - 1 in bad)


class Gifted(Collapsing):
    """A training whose weights are a file of its seed's name."""

    def weights(self) -> bytes:
        return b"weights"


@pytest.fixture
def warm_night(tmp_path, monkeypatch):
    """Trains with warm starts asked for, beside a champion with weights of `latent` or whose file holds `content`."""
    from components.generators import warm_start
    from components.generators.build_training import origin
    from components.generators.generator_kinds import architecture

    paths = Paths.of("shop", workdir=str(tmp_path))
    pictures = np.random.default_rng(0).integers(0, 256, (100, 2, 2, 1), dtype=np.uint8)
    photos = Photos(pictures, np.zeros(100, np.int32), ("bag",), np.ones((100, 1), np.float32))
    config = CONFIG.model_copy(update={"warm_start": True, "warm_share": 0.5})
    monkeypatch.setattr(checkpointed_training, "run_with_checkpoints", lambda *_: None)
    starts = []

    def night(latent: int | None = None, bad: tuple[int, ...] = (), content: bytes | None = None):
        def start(name, photos, budget, seed, resume, earlier):
            starts.append((seed, budget.steps, earlier is not None))
            return Gifted(seed, set(bad))

        monkeypatch.setattr(checkpointed_training, "start_training", start)
        if latent is not None:
            monkeypatch.setattr(warm_start, "read", lambda content, source: held)
            expected = architecture("vae", photos, config.vae)
            held = warm_start.Weights("w", "0" * 64, {**expected, "latent": latent}, {}, {})
            content = b"any"
        if content is not None:
            folder = paths.champion_generators / origin("vae")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / warm_start.WEIGHTS_FILE).write_bytes(content)
        return checkpointed_training.train("vae", photos, config, paths), starts

    night.paths = paths
    return night


def test_a_warm_start_takes_its_share_of_the_steps_and_keeps_its_weights(warm_night):
    trained, starts = warm_night(latent=CONFIG.vae.latent)
    assert starts == [(0, 3, True)]  # half of 5 steps
    assert trained.start == "vae: begun at the champion's weights, for 0.5 of its steps"
    assert trained.weights == b"weights"


def test_a_champion_that_does_not_fit_is_left_and_the_reason_kept(warm_night, caplog):
    with caplog.at_level("WARNING", logger="adloom"):
        trained, starts = warm_night(latent=CONFIG.vae.latent + 1)
    assert starts == [(0, 5, False)]
    assert trained.start == "vae: begun at the seed, because the champion's weights have latent 33 and not 32"
    assert "the champion's weights have latent 33 and not 32" in caplog.text


def test_without_a_champion_or_its_weights_the_reason_is_kept_too(warm_night):
    assert warm_night()[0].start == "vae: begun at the seed, because there is no champion"
    warm_night.paths.champion_generators.mkdir(parents=True)
    assert warm_night()[0].start == "vae: begun at the seed, because the champion has no weights of vae-3"


def test_a_warm_start_that_collapses_is_trained_again_from_the_seed(warm_night):
    trained, starts = warm_night(latent=CONFIG.vae.latent, bad=(0,))
    assert starts == [(0, 3, True), (checkpointed_training.RESTART_SEED_STEP, 5, False)]
    assert trained.start == "vae: begun at the seed, because the warm start ended in mode collapse"


def test_damaged_weights_end_the_stage_by_name(warm_night):
    from components.settings.errors import UserError

    with pytest.raises(UserError, match=r"champion-generators/vae-3/weights\.npz: damaged weights"):
        warm_night(content=b"damaged")


def test_no_warm_start_unless_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpointed_training, "start_training", lambda *arguments, **_: Gifted(arguments[3], set()))
    monkeypatch.setattr(checkpointed_training, "run_with_checkpoints", lambda *_: None)
    pictures = np.random.default_rng(0).integers(0, 256, (100, 2, 2, 1), dtype=np.uint8)
    photos = Photos(pictures, np.zeros(100, np.int32), ("bag",), np.ones((100, 1), np.float32))
    trained = checkpointed_training.train("vae", photos, CONFIG, Paths.of("shop", workdir=str(tmp_path)))
    assert trained.start is None and trained.weights is None
