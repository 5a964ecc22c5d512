import numpy as np
import pytest

from components.generators.build_training import start_training
from components.generators.keras_generator import GENERATOR_FILE, NetworkGenerator
from components.generators.quantise import compact
from components.settings.sections import GeneratorConfig


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer")
def test_a_compact_generator_is_smaller_and_draws_nearly_the_same(photos):
    config = GeneratorConfig(steps=40, max_seconds=120.0, batch_size=32, latent=6)
    training = start_training("flow", photos, config, seed=0)
    for _ in training.run():
        pass
    whole = training.generator()
    small = compact(whole)
    assert len(small.files()[GENERATOR_FILE]) < 0.4 * len(whole.files()[GENERATOR_FILE])
    kernels = [variable.dtype for variable in small.network.variables if variable.name == "kernel"]
    assert len(kernels) == 24 and set(kernels) == {"int8"}  # those of the nested networks too
    category, segment = np.arange(64) % 3, np.arange(64) % 3
    made, remade = (each.sample(category, segment, 1).astype(float) for each in (whole, small))
    assert np.abs(made - remade).mean() < 5.0 < made.std()
    again = NetworkGenerator.from_files(small.files())
    assert np.array_equal(again.sample(category, segment, 1), remade)
