"""A training that begins at an earlier one's weights."""

import io
from dataclasses import replace

import numpy as np
import pytest

from components.generators import warm_start
from components.generators.build_training import start_training
from components.generators.generator_kinds import FAMILIES, architecture
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig

CONFIG = GeneratorConfig(steps=60, max_seconds=120.0, batch_size=96, latent=6)  # smaller ones blur a loss
SHORT = CONFIG.model_copy(update={"steps": 3})


def trained(name, photos, config=CONFIG, earlier=None):
    training = start_training(name, photos, config, 3, earlier=earlier)
    losses = [record.losses for record in training.run()]
    return training, losses


@pytest.fixture(scope="module")
def earlier(photos):
    """Family -> (its losses by step, its weights after 60 steps)."""
    found = {}
    for name in FAMILIES:
        training, losses = trained(name, photos)
        found[name] = losses, warm_start.read(training.weights(), f"{name}/weights.npz")
    return found


@pytest.mark.parametrize("name", ["vae", "flow"])
def test_it_begins_at_the_loss_that_the_earlier_one_ended_at(name, photos, earlier):
    losses, weights = earlier[name]
    cold, ended = losses[0]["loss"], np.mean([step["loss"] for step in losses[-10:]])
    assert ended < 0.9 * cold
    begun = trained(name, photos, SHORT, weights)[1][0]["loss"]
    assert abs(begun - ended) < 0.25 * (cold - ended)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_begins_at_the_earlier_weights_and_its_average_too(name, photos, earlier):
    _, weights = earlier[name]
    networks = start_training(name, photos, SHORT, 3, earlier=weights).networks
    averaged = {"average": {"flow": "velocity", "wgan": "painter"}.get(name)}
    assert set(networks) - set(averaged) == set(weights.networks)
    for each, network in networks.items():
        due = weights.networks[averaged.get(each, each)]
        assert all(np.array_equal(*pair) for pair in zip(network.get_weights(), due, strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_rerun_gives_equal_bytes(name, photos, earlier):
    found = []
    for _ in range(2):
        training = trained(name, photos, SHORT, earlier[name][1])[0]
        found.append({**training.generator().files(), warm_start.WEIGHTS_FILE: training.weights()})
    assert found[0] == found[1]


def test_a_flow_keeps_the_plane_of_its_weights_on_other_photos(photos, earlier):
    some = photos.take(np.arange(60, 240))
    kept, fresh = (
        start_training("flow", some, SHORT, 3, earlier=weights).setup.fitted for weights in (earlier["flow"][1], None)
    )
    assert all(np.array_equal(kept[name], array) for name, array in earlier["flow"][1].fitted.items())
    assert set(kept) == set(fresh) == {"mean", "components", "scale"}
    assert not np.allclose(kept["components"], fresh["components"])


def test_a_resumed_warm_start_ends_with_the_weights_of_an_uninterrupted_one(photos, earlier):
    whole = trained("flow", photos, SHORT, earlier["flow"][1])[0]
    broken = start_training("flow", photos, SHORT, 3, earlier=earlier["flow"][1])
    next(broken.run())
    resumed = start_training("flow", photos, SHORT, 3, resume=broken.checkpoint(), earlier=earlier["flow"][1])
    assert [record.step for record in resumed.run()] == [2, 3]
    assert resumed.weights() == whole.weights()


@pytest.mark.parametrize(
    ("config", "changed", "words"),
    [
        ({"latent": 7}, {}, "latent 6 and not 7"),
        ({"width": 8}, {}, "width 32 and not 8"),
        ({}, {"categories": ("left", "top", "disc")}, r'categories \["top", "left", "disc"\] and not \["left"'),
        ({}, {"segment_weights": np.ones((240, 2), np.float32)}, "segments 2 and not 1"),
        ({}, {"pictures": np.zeros((240, 10, 12, 1), np.uint8)}, r"shape \[12, 12, 1\] and not \[10, 12, 1\]"),
    ],
)
def test_another_architecture_is_named(photos, earlier, config, changed, words):
    import re

    due = architecture("vae", replace(photos, **changed), CONFIG.model_copy(update=config))
    assert re.match(words, earlier["vae"][1].difference_to(due))
    assert earlier["vae"][1].difference_to(architecture("vae", photos, CONFIG)) is None


def test_damaged_weights_are_named(photos, earlier):
    content = start_training("vae", photos, SHORT, 3).weights()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    for damaged in (b"", b"no archive", content[:-1000], flipped):
        with pytest.raises(UserError, match=r"champion/vae-3/weights\.npz: damaged weights"):
            warm_start.read(damaged, "champion/vae-3/weights.npz")
    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    for changed in ({"encoder/0": np.full_like(arrays["encoder/0"], np.nan)}, {"encoder/0": arrays["encoder/1"]}):
        stream = io.BytesIO()
        np.savez(stream, **{**arrays, **changed})
        with pytest.raises(UserError, match=r"w\.npz: damaged weights \((not all are finite|they do not fit)"):
            start_training("vae", photos, SHORT, 3, earlier=warm_start.read(stream.getvalue(), "w.npz"))
