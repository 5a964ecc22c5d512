"""Train a generator of any family on photos, within a budget, for the creatives stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from components.generators import warm_start
from components.generators.generator_family import TrainingSetup
from components.generators.generator_kinds import architecture, family, precision
from components.generators.keras_generator import NetworkGenerator, network_bytes
from components.generators.photos.training_photos import Photos
from components.generators.training.training_batches import Batches
from components.generators.training.training_loop import Summary, Training, TrainStep
from components.settings.sections import GeneratorConfig

VERSION = "3"  # of the families' architectures and losses; part of every creative's origin


@dataclass(frozen=True)
class GeneratorTraining:
    """A generator in training, with the same methods for every family.

    training = start_training("vae", photos, settings, seed, resume=bytes_of_an_earlier_checkpoint_or_None)
    for record in training.run():
        ...log record; store training.checkpoint() from time to time
    generator, summary = training.generator(), training.summary()
    """

    name: str
    photos: Photos
    config: GeneratorConfig
    setup: TrainingSetup
    loop: Training

    @property
    def networks(self) -> Mapping[str, Any]:
        """Name -> keras.Model, all networks of the training."""
        return self.setup.recipe.networks

    def run(self) -> Iterator[TrainStep]:
        """One frozen record per step; raises TrainingDiverged at the first loss that is not finite."""
        return self.loop.run()

    def checkpoint(self) -> bytes:
        """The state of the training; a run resumed from it ends with the same weights, bit for bit."""
        return self.loop.checkpoint()

    def history(self) -> tuple[TrainStep, ...]:
        """All steps so far, including those before a resume."""
        return self.loop.history()

    def summary(self) -> Summary:
        """Steps, seconds, CPU-seconds, and whether `max_seconds` ended the training."""
        return self.loop.summary()

    def generator(self) -> NetworkGenerator:
        """The generator with the present weights."""
        return NetworkGenerator(origin(self.name), self.setup.sampler(), self.photos.categories, self.photos.segments)

    def further(self) -> dict[str, bytes]:
        """File name -> bytes of the family's further networks (`TrainingSetup.further`)."""
        return {f"{name}.keras": network_bytes(network) for name, network in self.setup.further().items()}

    def weights(self) -> bytes:
        """The weights for a warm start of a later training, as a file for `warm_start.read`."""
        form = architecture(self.name, self.photos, self.config)
        return warm_start.to_bytes(self.setup.recipe, form, self.setup.fitted)


def origin(name: str) -> str:
    """The name of the generator of family `name`, with the version of its architecture and losses."""
    return f"{name}-{VERSION}"


def start_training(
    name: str,
    photos: Photos,
    config: GeneratorConfig,
    seed: int,
    *,
    resume: bytes | None = None,
    earlier: warm_start.Weights | None = None,
) -> GeneratorTraining:
    """The training of family `name` (`vae`, `wgan`, ...) on the photos; nothing is computed until `run()`.

    resume: bytes of `checkpoint()`; earlier: weights to start from, not the seed's. UserError if either is damaged or
    of another generator or architecture.
    """
    chosen = family(name)
    keras.utils.clear_session()  # resets the process-wide counter in layers' names, which are stored in the file
    with precision(config.precision):
        setup = chosen.setup(photos, config, seed, None if earlier is None else earlier.fitted)
    recipe = setup.recipe
    if earlier is not None:
        warm_start.load_weights(recipe, earlier)
    batches = Batches(photos, config.batch_size, len(recipe.updates), recipe.noises, seed, dict(setup.columns))
    label = f"{origin(name)} (seed {seed}, batches of {config.batch_size}, {len(photos.category)} photos)"
    loop = Training(
        label,
        recipe,
        batches,
        config.steps,
        config.max_seconds,
        steps_per_dispatch=config.steps_per_dispatch,
        resume=resume,
    )
    return GeneratorTraining(name, photos, config, setup, loop)
