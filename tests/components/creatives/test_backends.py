"""The same losses and networks give the same steps on TensorFlow and on JAX."""

import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import sys
import numpy as np
from components.config import GeneratorConfig
from components.creatives.families import FAMILIES
from components.creatives.photos import Photos
from components.creatives.train import start_training

path, start = sys.argv[1], sys.argv[2]
random = np.random.default_rng(0)
rows, columns = np.mgrid[:12, :12]
shapes = np.stack([rows < 6, columns < 6]) * random.uniform(90, 220, (64, 1, 1, 1))
pictures = (shapes[np.arange(64), np.arange(64) % 2] + random.uniform(0, 30, (64, 12, 12))).astype(np.uint8)[..., None]
photos = Photos(pictures, np.arange(64, dtype=np.int32) % 2, ("a", "b"), np.full((64, 2), 0.5, np.float32))
saved = {}
for name in FAMILIES:
    config = GeneratorConfig(steps=4, max_seconds=300.0, batch_size=8, latent=6, steps_per_dispatch=2)
    training = start_training(name, photos, config, 1)
    networks = [network for network in training.networks.values()]
    if start != "-":
        with np.load(start) as first:
            for number, network in enumerate(networks):
                count = len(network.get_weights())
                network.set_weights([first[f"{name}-start-{number}-{place}"] for place in range(count)])
    for number, network in enumerate(networks):
        saved |= {f"{name}-start-{number}-{place}": value for place, value in enumerate(network.get_weights())}
    for record in training.run():
        saved[f"{name}-losses-{record.step}"] = np.array([record.losses[key] for key in sorted(record.losses)])
    for number, network in enumerate(networks):
        saved |= {f"{name}-end-{number}-{place}": value for place, value in enumerate(network.get_weights())}
    made = training.generator().sample(np.array([0, 1]), np.array([0, 1]), 3)
    saved[f"{name}-made"] = made.astype(np.float64)
np.savez(path, **saved)
"""


@pytest.mark.slow
def test_tensorflow_and_jax_take_the_same_steps(tmp_path):
    start = "-"
    for backend in ("tensorflow", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        path = str(tmp_path / f"{backend}.npz")
        subprocess.run([sys.executable, "-c", SCRIPT, path, start], env=environment, check=True, timeout=400)
        start = path
    with np.load(tmp_path / "tensorflow.npz") as one, np.load(tmp_path / "jax.npz") as other:
        assert one.files == other.files
        for name in one.files:
            tolerance = 1.5 if name.endswith("-made") else 2e-3  # made: grey levels
            np.testing.assert_allclose(one[name], other[name], rtol=2e-3, atol=tolerance, err_msg=name)
