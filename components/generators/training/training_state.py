"""A training run's whole state as bytes: every variable, how far it is, and what it lost on the way."""

import io
import json
from dataclasses import dataclass

import numpy as np

from components.generators.training.recipe import Recipe
from components.settings.errors import UserError


@dataclass(frozen=True)
class Progress:
    """Steps done, seconds spent on them (all runs together) and the losses of each: float32 [steps, losses]."""

    steps: int
    seconds: float
    cpu_seconds: float
    names: tuple[str, ...]
    losses: np.ndarray


def to_bytes(recipe: Recipe, label: str, progress: Progress) -> bytes:
    """Variables of `recipe` and `progress` -> npz bytes without pickles. label: which run this is a state of."""
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
    """Put the variables in `content` into `recipe` and return how far that run was.

    Raises UserError, with `recipe` untouched, where the bytes are damaged, of another run or of another architecture.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            losses = stored["losses"]
            arrays = [stored[f"v{place}"] for place in range(len(about["shapes"]))]
    except Exception as error:  # numpy, zipfile and json each raise their own on damaged bytes
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
