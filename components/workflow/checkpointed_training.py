"""The training of a generator with progress in the log, curves for TensorBoard, and checkpoints for an interruption."""

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
RESTART_SEED_STEP = 1_000_003  # between the restarts of one training, so that no other part of a run has the same seed


@dataclass(frozen=True)
class Trained:
    """A generator, the summary of its last training, and the diversity of each restart (mode_collapse.diversity).

    further: other files of its family, bytes by name. start: where that training began and why, in words; weights: what
    a later training may start from (warm_start.read); both None without `creatives.warm_start`.
    """

    generator: NetworkGenerator
    summary: Summary
    diversity: tuple[float, ...]
    further: Mapping[str, bytes]
    start: str | None = None
    weights: bytes | None = None

    def files(self) -> dict[str, bytes]:
        """The files of a registered version, bytes by name."""
        weights = {} if self.weights is None else {warm_start.WEIGHTS_FILE: self.weights}
        return {**self.generator.files(), **self.further, **weights}

    def to_dict(self) -> dict[str, int | bool]:
        """The figures that are the same in a rerun, as JSON values."""
        return {**self.summary.to_dict(), "restarts": len(self.diversity) - 1}


def train_all(photos: Photos, config: CreativesConfig, paths: Paths) -> dict[str, Trained]:
    """Every generator of `config.generators`, trained, by the origin of its creatives."""
    return {origin(name): train(name, photos, config, paths) for name in config.generators}


def train(name: str, photos: Photos, config: CreativesConfig, paths: Paths) -> Trained:
    """Generator `name`, trained; after mode collapse it is trained again from another seed, up to `config.restarts`.

    If the last one collapsed too, the gate refuses it and the others fill the pool. A warm start that collapsed is not
    repeated: the restarts begin at the seed.
    """
    earlier, start = _earlier(name, photos, config, paths)
    diversities: list[float] = []
    while True:
        seed = config.seed + RESTART_SEED_STEP * len(diversities)
        training = _trained(name, photos, config, paths, seed=seed, earlier=earlier)
        generator = training.generator()
        diversities.append(diversity(generator, photos, config.seed))
        if diversities[-1] >= config.min_diversity or len(diversities) > config.restarts:
            weights = training.weights() if config.warm_start else None
            return Trained(generator, training.summary(), tuple(diversities), training.further(), start, weights)
        log.warning(
            "%s: mode collapse: its least diverse category spreads %.2f as far as real photos, below %g; "
            "trained again from another seed (restart %d of %d)",
            *(name, diversities[-1], config.min_diversity, len(diversities), config.restarts),
        )
        if earlier is not None:
            earlier, start = None, f"{name}: begun at the seed, because the warm start ended in mode collapse"


def _earlier(
    name: str, photos: Photos, config: CreativesConfig, paths: Paths
) -> tuple[warm_start.Weights | None, str | None]:
    """The champion's weights if training `name` can start from them, else None; and where it starts, in words.

    UserError if the weights are damaged.
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
        difference = weights.difference_to(architecture(name, photos, generator_settings(config, name)))
        if difference is None:
            plane = ", in that version's plane" if weights.fitted else ""
            share = f"{config.warm_share:g} of its steps"
            return weights, f"{name}: begun at the champion's weights{plane}, for {share}"
        reason = f"the champion's weights have {difference}"
    log.warning("%s: no warm start: %s; begun at the seed", name, reason)
    return None, f"{name}: begun at the seed, because {reason}"


def _trained(
    name: str,
    photos: Photos,
    config: CreativesConfig,
    paths: Paths,
    *,
    seed: int,
    earlier: warm_start.Weights | None,
) -> GeneratorTraining:
    """A finished training, continued from the checkpoint of an interrupted run if there is one.

    Its last checkpoint stays, in case a later part of the run is interrupted or fails.
    """
    budget = generator_settings(config, name)
    if earlier is not None:
        budget = budget.model_copy(update={"steps": math.ceil(config.warm_share * budget.steps)})
    # a checkpoint of other settings, photos, code or champion belongs to another training
    inputs = [digest_bytes(array.tobytes()) for array in (photos.pictures, photos.category, photos.segment_weights)]
    start = [] if earlier is None else [earlier.digest]
    label = digest_json([digest_code(TRAINER), budget.model_dump(mode="json"), seed, inputs, *start])[:12]
    checkpoint = _checkpoints(paths) / f"{name}-{label}.npz"
    resume = checkpoint.read_bytes() if checkpoint.exists() else None
    training = start_training(name, photos, budget, seed, resume=resume, earlier=earlier)
    if resume is not None:
        log.info("%s: continued from step %d of an interrupted run", name, training.summary().steps)
    board = paths.tensorboard / name
    run_with_checkpoints(training, budget.steps, checkpoint, board, config.checkpoint_seconds)
    return training


def clear_checkpoints(paths: Paths) -> None:
    """Delete the checkpoints; call it when the stage has written its outputs, because a rerun needs them until then."""
    for checkpoint in _checkpoints(paths).glob("*.npz"):
        checkpoint.unlink()


def _checkpoints(paths: Paths) -> UPath:
    return paths.artifacts / "checkpoints"


def run_with_checkpoints(
    training: GeneratorTraining, steps: int, checkpoint: UPath, board: UPath, checkpoint_seconds: float
) -> None:
    """Run `training` to its end; save to `checkpoint` at intervals and at the end, and curves to the folder `board`."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(board))
    logged = saved = time.monotonic()
    with writer.as_default():
        for record in training.run():
            for name, value in record.losses.items():
                tf.summary.scalar(name, value, step=record.step)
            now = time.monotonic()
            if now - logged > PROGRESS_SECONDS:
                logged = now
                losses = ", ".join(f"{name} {value:.4g}" for name, value in record.losses.items())
                log.info("%s: step %d of %d, %s", training.name, record.step, steps, losses)
            if now - saved > checkpoint_seconds:
                write_bytes(training.checkpoint(), checkpoint)
                saved = time.monotonic()
    writer.close()
    write_bytes(training.checkpoint(), checkpoint)
