"""Trains a generator in sight: progress for people, curves for TensorBoard, checkpoints for a run that is killed."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from upath import UPath

from components.contract.files.digests import digest_bytes, digest_json
from components.contract.files.tables import write_bytes
from components.generators import warm_start
from components.generators.build_training import GeneratorTraining, origin, start_training
from components.generators.generator_kinds import architecture, generator_settings
from components.generators.keras_generator import NetworkGenerator
from components.generators.photos.training_photos import Photos
from components.generators.quality.mode_collapse import diversity
from components.generators.training.training_loop import Summary
from components.settings.paths import Paths
from components.settings.sections import CreativesConfig
from components.workflow.caching.manifests import digest_code

log = logging.getLogger("adloom")
PROGRESS_SECONDS = 10.0
TRAINER = ("images", "features", "interest/models", "generators")  # the code that a checkpoint depends on
SEEDS_APART = 1_000_003  # between the starts of one training, so that no other part of a run has the same seed


@dataclass(frozen=True)
class Trained:
    """A generator, what its last training came to, and how diverse each start ended (collapse.diversity).

    further: file name -> bytes of what its family leaves behind beside it. start: where that training began and why, in
    words, and weights: what a later one may begin at (warm.read); both None unless warm starts are asked for.
    """

    generator: NetworkGenerator
    summary: Summary
    diversity: tuple[float, ...]
    further: Mapping[str, bytes]
    start: str | None = None
    weights: bytes | None = None

    def files(self) -> dict[str, bytes]:
        """What a version of the registry keeps of it."""
        kept = {} if self.weights is None else {warm_start.WEIGHTS_FILE: self.weights}
        return {**self.generator.files(), **self.further, **kept}

    def to_dict(self) -> dict[str, int | bool]:
        """What a rerun repeats, as JSON values."""
        return {**self.summary.to_dict(), "restarts": len(self.diversity) - 1}


def train_all(photos: Photos, config: CreativesConfig, paths: Paths) -> dict[str, Trained]:
    """Train every generator of `config.generators`, by the name that its creatives bear."""
    return {origin(name): train(name, photos, config, paths) for name in config.generators}


def train(name: str, photos: Photos, config: CreativesConfig, paths: Paths) -> Trained:
    """Train generator `name`; one that collapsed is trained again from another seed, `config.restarts` times at most.

    The last one stays as it is: the review finds the collapse too, the gate refuses it, and the others fill the pool.
    A warm start that collapsed is not repeated: the restarts begin at the seed.
    """
    earlier, start = _earlier(name, photos, config, paths)
    found: list[float] = []
    while True:
        training = _trained(name, photos, config, config.seed + SEEDS_APART * len(found), paths, earlier)
        generator = training.generator()
        found.append(diversity(generator, photos, config.seed))
        if found[-1] >= config.min_diversity or len(found) > config.restarts:
            weights = training.weights() if config.warm_start else None
            return Trained(generator, training.summary(), tuple(found), training.further(), start, weights)
        log.warning(
            "%s: mode collapse: its least diverse category spreads %.2f as far as real photos, below %g; "
            "trained again from another seed (restart %d of %d)",
            *(name, found[-1], config.min_diversity, len(found), config.restarts),
        )
        if earlier is not None:
            earlier, start = None, f"{name}: begun at the seed, for the warm start ended in mode collapse"


def _earlier(
    name: str, photos: Photos, config: CreativesConfig, paths: Paths
) -> tuple[warm_start.Weights | None, str | None]:
    """The champion's weights where training `name` can begin at them, and in words where it begins; else None.

    Raises UserError where they are damaged.
    """
    if not config.warm_start:
        return None, None
    file = paths.champion_generators / origin(name) / warm_start.WEIGHTS_FILE
    if not paths.champion_generators.exists():
        reason = "there is no champion"
    elif not file.exists():
        reason = f"the champion has no weights of {origin(name)}"
    else:
        weights = warm_start.read(file.read_bytes(), str(file))
        unlike = weights.difference_to(architecture(name, photos, generator_settings(config, name)))
        if unlike is None:
            kept = ", in that version's plane" if weights.fitted else ""
            share = f"{config.warm_share:g} of its steps"
            return weights, f"{name}: begun at the champion's weights{kept}, for {share}"
        reason = f"the champion's weights have {unlike}"
    log.warning("%s: no warm start: %s; begun at the seed", name, reason)
    return None, f"{name}: begun at the seed, for {reason}"


def _trained(
    name: str, photos: Photos, config: CreativesConfig, seed: int, paths: Paths, earlier: warm_start.Weights | None
) -> GeneratorTraining:
    """A training at its end, gone on with from the checkpoint of a run that was cut off, where there is one.

    Its own last checkpoint stays, for a run that is cut off, or fails, further on.
    """
    budget = generator_settings(config, name)
    if earlier is not None:
        budget = budget.model_copy(update={"steps": math.ceil(config.warm_share * budget.steps)})
    # another budget is another schedule, other photos or another champion are another night, and other code trains
    # otherwise: what those left in their checkpoints is not gone on from
    shown = [digest_bytes(array.tobytes()) for array in (photos.pictures, photos.category, photos.segment_weights)]
    begun = [] if earlier is None else [earlier.digest]
    label = digest_json([digest_code(TRAINER), budget.model_dump(mode="json"), seed, shown, *begun])[:12]
    checkpoint = _checkpoints(paths) / f"{name}-{label}.npz"
    resume = checkpoint.read_bytes() if checkpoint.exists() else None
    training = start_training(name, photos, budget, seed, resume=resume, earlier=earlier)
    if resume is not None:
        log.info("%s: going on from step %d of a run that was cut off", name, training.summary().steps)
    follow(training, budget.steps, checkpoint, paths.artifacts / "tensorboard" / name, config.checkpoint_seconds)
    return training


def clear_checkpoints(paths: Paths) -> None:
    """Delete what trainings left to go on from: until their stage has written its outputs, a rerun needs all of it."""
    for checkpoint in _checkpoints(paths).glob("*.npz"):
        checkpoint.unlink()


def _checkpoints(paths: Paths) -> UPath:
    return paths.artifacts / "checkpoints"


def follow(training: GeneratorTraining, steps: int, checkpoint: UPath, board: UPath, every: float) -> None:
    """Run `training` to its end; save to `checkpoint` at intervals and at the end, and curves to the folder `board`.

    every: seconds between checkpoints.
    """
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(board))
    told = saved = time.monotonic()
    with writer.as_default():
        for record in training.run():
            for name, value in record.losses.items():
                tf.summary.scalar(name, value, step=record.step)
            now = time.monotonic()
            if now - told > PROGRESS_SECONDS:
                told = now
                losses = ", ".join(f"{name} {value:.4g}" for name, value in record.losses.items())
                log.info("%s: step %d of %d, %s", training.name, record.step, steps, losses)
            if now - saved > every:
                write_bytes(training.checkpoint(), checkpoint)
                saved = time.monotonic()
    writer.close()
    write_bytes(training.checkpoint(), checkpoint)
