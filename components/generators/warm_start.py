"""A trained recipe's weights as a file, and a later training that begins at them instead of at its seed's.

Kept are the networks that the losses move, and what was fitted to photos that these make sense with alone (a flow's
plane). Optimisers begin anew, and slow averages at what they average: they forget their start within some ten steps.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.contract.files.digests import digest_bytes
from components.generators.training.recipe import Recipe
from components.settings.errors import UserError

NAME = "weights.npz"


@dataclass(frozen=True)
class Weights:
    """What a training left. source: the file they lie in; digest: SHA-256 of its bytes.

    architecture: what another training must share to begin here (families.architecture); fitted: name -> array;
    networks: name -> float32 arrays in the order of the network's variables.
    """

    source: str
    digest: str
    architecture: Mapping[str, Any]
    fitted: Mapping[str, np.ndarray]
    networks: Mapping[str, list[np.ndarray]]

    def unlike(self, architecture: Mapping[str, Any]) -> str | None:
        """What keeps a training of `architecture` from beginning here, in words; None where nothing does."""
        for name, value in architecture.items():
            if self.architecture.get(name) != value:
                return f"{name} {json.dumps(self.architecture.get(name))} and not {json.dumps(value)}"
        return None


def to_bytes(recipe: Recipe, architecture: Mapping[str, Any], fitted: Mapping[str, np.ndarray]) -> bytes:
    """The learned networks of `recipe` and what goes with them -> npz bytes without pickles."""
    networks = {name: network.get_weights() for name, network in recipe.learned().items()}
    counts = {name: len(arrays) for name, arrays in networks.items()}
    about = json.dumps({"architecture": architecture, "fitted": sorted(fitted), "networks": counts}, sort_keys=True)
    arrays = {f"fitted/{name}": array for name, array in fitted.items()}
    arrays |= {f"{name}/{place}": array for name, found in networks.items() for place, array in enumerate(found)}
    stream = io.BytesIO()
    np.savez(stream, about=np.frombuffer(about.encode(), np.uint8), **arrays)
    return stream.getvalue()


def read(content: bytes, source: str) -> Weights:
    """What `to_bytes` gave, from the file `source`; UserError where it is damaged or a number in it is not finite."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            fitted = {name: stored[f"fitted/{name}"] for name in about["fitted"]}
            networks = {
                name: [stored[f"{name}/{place}"] for place in range(count)] for name, count in about["networks"].items()
            }
            architecture = dict(about["architecture"])
    except Exception as error:  # numpy, zipfile and json each raise their own on damaged bytes
        raise UserError(f"{source}: damaged weights ({error}); delete the folder, the next run fetches it") from None
    if not all(np.isfinite(array).all() for arrays in (fitted.values(), *networks.values()) for array in arrays):
        raise UserError(f"{source}: damaged weights (not all are finite); roll back, or set creatives.warm_start=false")
    return Weights(source, digest_bytes(content), architecture, fitted, networks)


def begin(recipe: Recipe, weights: Weights) -> None:
    """Put `weights` into `recipe`; UserError where they are not of its networks' number and shapes."""
    learned = recipe.learned()
    due = {name: [tuple(variable.shape) for variable in network.variables] for name, network in learned.items()}
    if {name: [array.shape for array in arrays] for name, arrays in weights.networks.items()} != due:
        raise UserError(f"{weights.source}: damaged weights (they do not fit the networks that the file says they do)")
    for name, network in learned.items():
        network.set_weights(weights.networks[name])
    for average in recipe.averages:
        for source, shadow in zip(average.source, average.shadow, strict=True):
            shadow.assign(source)
