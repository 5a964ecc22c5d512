import itertools
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest

from components.generators.build_training import start_training
from components.generators.generator_kinds import FAMILIES
from components.generators.training.training_batches import Batches
from components.generators.training.training_loop import TrainingDiverged
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig

TINY = {name: GeneratorConfig(steps=6, max_seconds=120.0, batch_size=8, latent=6) for name in FAMILIES}


def weights_of(training):
    return [value for network in training.networks.values() for value in network.get_weights()]


def finish(training):
    for _ in training.run():
        pass
    return training


@pytest.mark.parametrize("name", FAMILIES)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(name, photos):
    whole = finish(start_training(name, photos, TINY[name], seed=3))
    broken = start_training(name, photos, TINY[name], seed=3)
    for record in broken.run():
        if record.step == 4:
            kept = broken.checkpoint()
            break
    resumed = finish(start_training(name, photos, TINY[name], seed=3, resume=kept))
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(whole), weights_of(resumed), strict=True))
    assert [step.losses for step in whole.history()] == [step.losses for step in resumed.history()]
    assert [step.step for step in resumed.history()] == list(range(1, 7))


def test_another_seed_gives_other_weights(photos):
    one, other = (finish(start_training("vae", photos, TINY["vae"], seed)) for seed in (1, 2))
    assert any(not np.array_equal(a, b) for a, b in zip(weights_of(one), weights_of(other), strict=True))


def test_the_loss_falls(photos):
    config = GeneratorConfig(steps=150, max_seconds=120.0, batch_size=32, latent=4)
    history = finish(start_training("vae", photos, config, seed=0)).history()
    assert np.mean([step.losses["loss"] for step in history[-10:]]) < 0.8 * history[0].losses["loss"]


@pytest.mark.parametrize(("compiling", "steps"), [(1.0, 10), (30.0, 5), (90.0, 1)])
def test_the_clock_caps_a_run_and_the_summary_says_so(photos, monkeypatch, compiling, steps):
    """On a clock of its own: the first step takes `compiling` seconds, every other 5, and none begins that would end
    after the cap."""
    moments = itertools.chain(
        [0.0], itertools.accumulate(itertools.chain([0.0, compiling], itertools.cycle([0.0, 5.0])))
    )
    clock = SimpleNamespace(perf_counter=lambda: next(moments), process_time=time.process_time)
    monkeypatch.setattr("components.generators.training.training_loop.time", clock)
    config = GeneratorConfig(steps=1_000_000, max_seconds=50.0, batch_size=8, latent=4)
    summary = finish(start_training("vae", photos, config, seed=0)).summary()
    assert summary.capped and summary.planned == 1_000_000
    assert summary.steps == steps
    assert summary.seconds == compiling + 5.0 * (steps - 1)


def test_nan_is_found_at_once_and_the_history_is_kept(photos):
    config = GeneratorConfig(steps=200, max_seconds=120.0, batch_size=8, latent=4, learning_rate=1e30)
    training = start_training("vae", photos, config, seed=0)
    with pytest.raises(TrainingDiverged, match="diverged at step") as caught:
        finish(training)
    assert caught.value.step <= 50
    assert len(caught.value.history) == caught.value.step
    assert math.isfinite(caught.value.history[0].losses["loss"])
    assert not math.isfinite(caught.value.history[-1].losses["loss"])


def test_several_steps_in_one_dispatch_are_the_same_steps(photos):
    several = TINY["vae"].model_copy(update={"steps_per_dispatch": 3})
    one, many = (finish(start_training("vae", photos, config, seed=5)) for config in (TINY["vae"], several))
    for a, b in zip(weights_of(one), weights_of(many), strict=True):
        assert np.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["wgan", "flow"])
def test_large_networks_are_moved_as_small_ones_are(name, photos, monkeypatch):
    """Where weights are many XLA compiles their updates; here it is made to do so for few of them."""
    config = TINY[name].model_copy(update={"steps_per_dispatch": 3})
    plain = finish(start_training(name, photos, config, seed=5))
    monkeypatch.setattr("components.generators.training.gradient_step_tensorflow.FUSED_FROM", 0)
    one, two = (finish(start_training(name, photos, config, seed=5)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(one), weights_of(two), strict=True))
    for a, b in zip(weights_of(plain), weights_of(one), strict=True):
        assert np.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision_trains_too(name, photos):
    config = TINY[name].model_copy(update={"precision": "mixed_bfloat16", "steps": 2})
    training = finish(start_training(name, photos, config, seed=0))
    assert all(value.dtype == np.float32 for value in weights_of(training))
    assert training.generator().sample(np.array([0, 1]), np.array([0, 1]), 0).dtype == np.uint8


@pytest.mark.parametrize("name", FAMILIES)
def test_a_finished_training_resumes_as_finished(name, photos):
    done = finish(start_training(name, photos, TINY[name], seed=3))
    again = start_training(name, photos, TINY[name], 3, resume=done.checkpoint())
    assert list(again.run()) == [] and again.summary() == done.summary()
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(done), weights_of(again), strict=True))


def test_no_steps_need_no_batch(photos):
    assert list(Batches(photos, 4, 1, (), seed=0).dispatches(5, 5, 2)) == []


def test_checkpoints_of_something_else_are_refused(photos):
    training = finish(start_training("vae", photos, TINY["vae"], seed=3))
    other = TINY["vae"].model_copy(update={"latent": 7})
    with pytest.raises(UserError, match="another architecture"):
        start_training("vae", photos, other, seed=3, resume=training.checkpoint())
    with pytest.raises(UserError, match="is of vae"):
        start_training("wgan", photos, TINY["wgan"], seed=3, resume=training.checkpoint())
    with pytest.raises(UserError, match="damaged"):
        start_training("vae", photos, TINY["vae"], seed=3, resume=training.checkpoint()[:1000])
    with pytest.raises(UserError, match="no family of generators is called"):
        start_training("painter", photos, TINY["vae"], seed=3)


SCRIPT = """
import os, sys
import numpy as np
from components.settings.sections import GeneratorConfig
from components.generators.photos.training_photos import Photos
from components.generators.build_training import start_training

random = np.random.default_rng(0)
pictures = random.integers(0, 256, (64, 12, 12, 1), dtype=np.uint8)
photos = Photos(pictures, np.arange(64, dtype=np.int32) % 2, ("a", "b"), np.ones((64, 1), np.float32))
path, steps = sys.argv[1], int(sys.argv[2])
resume = open(path, "rb").read() if os.path.exists(path) else None
config = GeneratorConfig(steps=12, max_seconds=300.0, batch_size=8, latent=4)
training = start_training("vae", photos, config, 1, resume=resume)
for record in training.run():
    with open(path + ".part", "wb") as file:
        file.write(training.checkpoint())
    os.replace(path + ".part", path)
    if record.step == steps:
        os.kill(os.getpid(), 9)
np.savez(path + ".weights", *[value for network in training.networks.values() for value in network.get_weights()])
"""


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_weights(tmp_path):
    def run(path, stop):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(path), str(stop)]
        return subprocess.run(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, timeout=300).returncode

    assert run(tmp_path / "killed", 7) == -signal.SIGKILL
    assert run(tmp_path / "killed", 0) == 0
    assert run(tmp_path / "whole", 0) == 0
    with np.load(tmp_path / "killed.weights.npz") as killed, np.load(tmp_path / "whole.weights.npz") as whole:
        assert all(np.array_equal(killed[name], whole[name]) for name in whole.files)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_start_depends_on_the_seed_alone_whatever_other_threads_draw(name, photos):
    """An orchestrator's threads draw from Python's global generator while a network is built."""
    starts = []
    for noise in (0, 1, 2):
        random.seed(noise)
        starts.append(weights_of(start_training(name, photos, TINY[name], seed=3)))
    for start in starts[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(starts[0], start, strict=True))
    assert any(value.std() > 0 for value in starts[0])
