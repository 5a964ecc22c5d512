"""The models of `benchmarks.creatives_quality`, and their training for a budget of CPU-seconds."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.settings.sections import GeneratorConfig

MARKS = (0.1, 0.2, 0.35, 0.5, 0.75)  # fractions of the budget at which the curve is measured
PROBE = (5, 25)  # steps between which a model's speed is measured,
MAX_PROBE = 0.1  # in at most this fraction of the budget, since a step may take a minute


@dataclass(frozen=True)
class Contender:
    """A model: `start` sets it up as a generator family does; the settings are its batch, noise and learning rate."""

    start: Callable
    settings: GeneratorConfig


def contenders(precision: str) -> dict[str, Contender]:
    """Name -> model: Adloom's models, in `precision`, then the baselines, in float32."""
    from benchmarks.creatives import keras_wgan, plain_vae
    from components.generators.generator_kinds import FAMILIES

    ours = {"precision": precision}
    return {
        "flow": Contender(FAMILIES["flow"].setup, _settings(512, 128, 1.5e-3, width=768, **ours)),
        "wgan": Contender(FAMILIES["wgan"].setup, _settings(128, 32, 3e-4, **ours)),
        "vae": Contender(FAMILIES["vae"].setup, _settings(128, 32, 1e-3, **ours)),
        "keras-wgan-gp": Contender(keras_wgan.setup, _settings(512, 128, 2e-4)),
        "plain-vae": Contender(plain_vae.setup, _settings(128, 16, 1e-3)),
    }


def _settings(batch: int, latent: int, rate: float, **further) -> GeneratorConfig:
    return GeneratorConfig(
        steps=PROBE[1], max_seconds=1e6, batch_size=batch, latent=latent, learning_rate=rate, **further
    )


def generators(
    name: str, photos, budget: float, seed: int, precision: str = "float32"
) -> Iterator[tuple[float, object]]:
    """(CPU-seconds spent, the generator at that time) at each of MARKS and at the end of the budget."""
    if name == "gaussian":
        from benchmarks.creatives.gaussian import Gaussians

        begun = time.process_time()
        fitted = Gaussians.fit(photos)
        yield time.process_time() - begun, fitted
    else:
        yield from _train(name, contenders(precision)[name], photos, budget, seed)


def _train(name: str, contender: Contender, photos, budget: float, seed: int) -> Iterator[tuple[float, object]]:
    from components.generators.keras_generator import NetworkGenerator

    steps = _affordable(contender, photos, budget, seed)
    begun = time.process_time()
    setup, training = _set_up(contender, photos, steps, seed)
    spent, marks, records = time.process_time() - begun, list(MARKS), training.run()
    while spent < budget:
        begun = time.process_time()
        record = next(records, None)
        spent += time.process_time() - begun
        if record is None:
            break
        if marks and spent >= marks[0] * budget:
            marks.pop(0)
            yield spent, NetworkGenerator(name, setup.sampler(), photos.categories, photos.segments)
    yield spent, NetworkGenerator(name, setup.sampler(), photos.categories, photos.segments)


def _affordable(contender: Contender, photos, budget: float, seed: int) -> int:
    """The number of steps that fit the budget, by the speed of the first ones; the learning-rate schedule needs it."""
    _, training = _set_up(contender, photos, PROBE[1], seed)
    for record in training.run():
        if record.step == PROBE[0]:
            begun = time.process_time()
        elif record.step > PROBE[0] and time.process_time() - begun > MAX_PROBE * budget:
            break
    each = (time.process_time() - begun) / (record.step - PROBE[0])
    return max(PROBE[1], int(0.95 * budget / each))


def _set_up(contender: Contender, photos, steps: int, seed: int):
    from components.generators.generator_kinds import precision
    from components.generators.training.training_batches import Batches
    from components.generators.training.training_loop import Training

    config = contender.settings.model_copy(update={"steps": steps})
    with precision(config.precision):
        setup = contender.start(photos, config, seed)
    updates = len(setup.recipe.updates)
    batches = Batches(photos, config.batch_size, updates, setup.recipe.noises, seed, dict(setup.columns))
    return setup, Training("race", setup.recipe, batches, steps, config.max_seconds)
