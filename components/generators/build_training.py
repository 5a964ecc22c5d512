"""Photos and a budget -> a trained generator: what the creatives stage calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from components.generators import warm_start
from components.generators.generator_family import Bench
from components.generators.generator_kinds import architecture, family, precision
from components.generators.keras_generator import NetworkGenerator, network_bytes
from components.generators.photos.training_photos import Photos
from components.generators.training.training_batches import Batches
from components.generators.training.training_loop import Summary, Training, TrainStep
from components.settings.sections import GeneratorConfig

VERSION = "3"  # of the families' architectures and losses; part of every creative's origin


@dataclass(frozen=True)
class GeneratorTraining:
    """A generator in training, by the same three calls for every family.

    training = start_training("vae", photos, settings, seed, resume=bytes_of_an_earlier_checkpoint_or_None)
    for record in training.run():
        ...log record; now and then keep training.checkpoint()
    generator, summary = training.generator(), training.summary()
    """

    name: str
    photos: Photos
    config: GeneratorConfig
    bench: Bench
    inner: Training

    @property
    def networks(self) -> Mapping[str, Any]:
        """Name -> keras.Model: all that take part."""
        return self.bench.recipe.networks

    def run(self) -> Iterator[TrainStep]:
        """One frozen record per step; raises TrainingDiverged at the first loss that is not finite."""
        return self.inner.run()

    def checkpoint(self) -> bytes:
        """Everything that resuming needs; a resumed run ends with the same weights, bit for bit."""
        return self.inner.checkpoint()

    def history(self) -> tuple[TrainStep, ...]:
        """All steps so far, those of resumed parts among them."""
        return self.inner.history()

    def summary(self) -> Summary:
        """Steps, seconds, CPU-seconds and whether the clock ended it."""
        return self.inner.summary()

    def generator(self) -> NetworkGenerator:
        """The generator with its weights as they are now."""
        return NetworkGenerator(origin(self.name), self.bench.sampler(), self.photos.categories, self.photos.segments)

    def further(self) -> dict[str, bytes]:
        """File name -> bytes of each network that the family leaves behind beside its generator, as its bench says."""
        return {f"{name}.keras": network_bytes(network) for name, network in self.bench.further().items()}

    def weights(self) -> bytes:
        """What a later training may begin from, as the bytes of a file that `warm.read` takes."""
        made_for = architecture(self.name, self.photos, self.config)
        return warm_start.to_bytes(self.bench.recipe, made_for, self.bench.fitted)


def origin(name: str) -> str:
    """The name that the generator of the family `name` bears, with the version of its architecture and losses."""
    return f"{name}-{VERSION}"


def start_training(
    name: str,
    photos: Photos,
    config: GeneratorConfig,
    seed: int,
    resume: bytes | None = None,
    earlier: warm_start.Weights | None = None,
) -> GeneratorTraining:
    """Set up the family called `name` (`vae`, `wgan`, ...) on the photos; nothing is computed until `run()`.

    resume: what `checkpoint()` gave; earlier: weights to begin at instead of the seed's. UserError where either is
    damaged, or of another generator or architecture.
    """
    chosen = family(name)
    keras.utils.clear_session()  # layers are named by a counter of the process, and names are part of the stored bytes
    with precision(config.precision):
        bench = chosen.bench(photos, config, seed, None if earlier is None else earlier.fitted)
    recipe = bench.recipe
    if earlier is not None:
        warm_start.begin(recipe, earlier)
    batches = Batches(photos, config.batch_size, len(recipe.turns), recipe.noises, seed, dict(bench.columns))
    label = f"{origin(name)} (seed {seed}, batches of {config.batch_size}, {len(photos.category)} photos)"
    inner = Training(label, recipe, batches, config.steps, config.max_seconds, config.steps_per_dispatch, resume)
    return GeneratorTraining(name, photos, config, bench, inner)
