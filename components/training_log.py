"""Follows a training: progress for people, curves for TensorBoard, checkpoints that a killed run resumes from."""

import logging
import time

from upath import UPath

from components.contract.tables import write_bytes
from components.creatives.train import GeneratorTraining

log = logging.getLogger("adloom")
PROGRESS_SECONDS = 10.0


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
