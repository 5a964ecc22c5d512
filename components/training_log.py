"""Trains a generator in sight: progress for people, curves for TensorBoard, checkpoints for a run that is killed."""

import logging
import time

from upath import UPath

from components.config import CreativesConfig
from components.contract.tables import write_bytes
from components.creatives.generator import NetworkGenerator
from components.creatives.photos import Photos
from components.creatives.train import GeneratorTraining, start_training
from components.creatives.training import Summary
from components.manifest import digest_bytes, digest_json
from components.paths import Paths

log = logging.getLogger("adloom")
PROGRESS_SECONDS = 10.0


def train(name: str, photos: Photos, config: CreativesConfig, paths: Paths) -> tuple[NetworkGenerator, Summary]:
    """Train generator `name`, or go on from the checkpoint of a run that was cut off."""
    budget = getattr(config, name)
    # another budget is another schedule, other photos are another night: their checkpoints are not gone on from
    shown = [digest_bytes(array.tobytes()) for array in (photos.pictures, photos.category, photos.segment_weights)]
    label = digest_json([budget.model_dump(mode="json"), config.seed, shown])[:12]
    checkpoint = paths.artifacts / "checkpoints" / f"{name}-{label}.npz"
    resume = checkpoint.read_bytes() if checkpoint.exists() else None
    training = start_training(name, photos, budget, config.seed, resume)
    if resume is not None:
        log.info("%s: going on from step %d of a run that was cut off", name, training.summary().steps)
    follow(training, budget.steps, checkpoint, paths.artifacts / "tensorboard" / name, config.checkpoint_seconds)
    for kept in checkpoint.parent.glob(f"{name}-*.npz"):  # they are for runs that were cut off; this one is done
        kept.unlink()
    return training.generator(), training.summary()


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
