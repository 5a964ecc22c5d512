"""Store and restore the state of a training run: all variables, its progress and losses."""

import io
import json
from dataclasses import dataclass

import numpy as np

from components.generators.training.recipe import Recipe
from components.settings.errors import UserError


@dataclass(frozen=True)
class Progress:
    """Steps done, seconds spent on them (over all runs) and the losses of each step: float32 [steps, losses]."""

    steps: int
    seconds: float
    cpu_seconds: float
    names: tuple[str, ...]
    losses: np.ndarray


def to_bytes(recipe: Recipe, label: str, progress: Progress) -> bytes:
    """The npz file of the variables of `recipe` and `progress`, without pickles. label: identifies the run."""
    about = {
        "label": label,
        "steps": progress.steps,
        "seconds": progress.seconds,
        "cpu_seconds": progress.cpu_seconds,
        "names": list(progress.names),
        "shapes": _shapes(recipe),
    }
    arrays = {f"v{place}": np.asarray(variable.numpy()) for place, variable in enumerate(recipe.state())}
    stream = io.BytesIO()
    np.savez(stream, about=np.frombuffer(json.dumps(about).encode(), np.uint8), losses=progress.losses, **arrays)
    return stream.getvalue()


def restore(recipe: Recipe, label: str, content: bytes) -> Progress:
    """The progress in `content`; sets the variables of `recipe` to the stored ones.

    UserError, before any variable is set, if the bytes are damaged, of another run or of another architecture.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            losses = stored["losses"]
            arrays = [stored[f"v{place}"] for place in range(len(about["shapes"]))]
    except Exception as error:  # numpy, zipfile and json raise different exceptions for damaged bytes
        raise UserError(f"the checkpoint is damaged ({error}); delete it to train from the start") from None
    if about["label"] != label:
        raise UserError(f"the checkpoint is of {about['label']}, not of {label}; delete it to train from the start")
    if about["shapes"] != _shapes(recipe):
        raise UserError(f"the checkpoint of {label} is of another architecture; delete it to train from the start")
    for variable, value in zip(recipe.state(), arrays, strict=True):
        variable.assign(value)
    return Progress(about["steps"], about["seconds"], about["cpu_seconds"], tuple(about["names"]), losses)


def _shapes(recipe: Recipe) -> list[list[int]]:
    return [list(variable.shape) for variable in recipe.state()]
