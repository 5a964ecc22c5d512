"""Losses of a training, written for TensorBoard below `artifacts/DATASET/tensorboard/`."""

import shutil
from collections.abc import Mapping, Sequence

from upath import UPath


def write_curves(losses: Sequence[Mapping[str, float]], folder: UPath) -> None:
    """Replace `folder` by the curves of `losses`, by name, one mapping per epoch or step; without any, delete it."""
    shutil.rmtree(folder, ignore_errors=True)
    if not losses:
        return
    import tensorflow as tf  # only after a training with it, because it takes half a minute to start

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step, values in enumerate(losses, start=1):
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
    writer.close()
