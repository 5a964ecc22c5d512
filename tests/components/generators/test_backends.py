"""The same losses and networks give the same steps on TensorFlow, on JAX, and on several devices of JAX."""

import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import sys
import keras
import numpy as np
from components.settings.sections import GeneratorConfig
from components.generators.generator_kinds import FAMILIES
from components.generators.photos.training_photos import Photos
from components.generators.build_training import start_training

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
    if keras.backend.backend() == "jax":
        import jax
        assert len(networks[0].weights[0].value.sharding.device_set) == jax.device_count() == int(sys.argv[3])
    made = training.generator().sample(np.array([0, 1]), np.array([0, 1]), 3)
    saved[f"{name}-made"] = made.astype(np.float64)
np.savez(path, **saved)
"""


UNEVEN = """
import numpy as np
from components.settings.sections import GeneratorConfig
from components.generators.photos.training_photos import Photos
from components.generators.build_training import start_training

random = np.random.default_rng(0)
pictures = random.integers(0, 255, (64, 8, 8, 1), np.uint8)
photos = Photos(pictures, np.arange(64, dtype=np.int32) % 2, ("a", "b"), np.full((64, 2), 0.5, np.float32))
config = GeneratorConfig(steps=4, max_seconds=300.0, batch_size=6, latent=6)
try:
    next(start_training("flow", photos, config, 1).run())
except Exception as error:
    print(type(error).__name__, error)
"""


def run(script: str, backend: str, devices: int, *arguments: str) -> str:
    """The script in a process of its own, on so many devices made of this machine's cores -> what it printed.

    XLA compiles without optimisation: that takes most of the time, and it is run for four steps.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0",
    }
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=environment, check=True, timeout=400, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.slow
def test_tensorflow_and_jax_on_one_device_and_on_four_take_the_same_steps(tmp_path):
    path = {name: str(tmp_path / f"{name}.npz") for name in ("tensorflow", "jax", "four")}
    run(SCRIPT, "tensorflow", 1, path["tensorflow"], "-", "1")
    run(SCRIPT, "jax", 1, path["jax"], path["tensorflow"], "1")
    run(SCRIPT, "jax", 4, path["four"], path["tensorflow"], "4")
    for other in ("jax", "four"):
        with np.load(path["tensorflow"]) as one, np.load(path[other]) as two:
            assert one.files == two.files
            for name in one.files:
                tolerance = 1.5 if name.endswith("-made") else 2e-3  # made: grey levels
                np.testing.assert_allclose(one[name], two[name], rtol=2e-3, atol=tolerance, err_msg=f"{other} {name}")


@pytest.mark.slow
def test_a_batch_that_cannot_be_cut_for_all_devices_is_refused():
    assert run(UNEVEN, "jax", 4) == "UserError batch_size 6 cannot be split into equal parts for 4 devices\n"
