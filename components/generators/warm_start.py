"""Store the weights of a training, and start a later training from them (warm start) and not from its seed's.

Stored are the trained networks and arrays fitted to photos (a flow's plane), because the weights mean nothing without
them. Optimisers start again, and slow averages start at the loaded weights; both adapt within some ten steps.
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

WEIGHTS_FILE = "weights.npz"


@dataclass(frozen=True)
class Weights:
    """The stored weights of a training. source: the file; digest: SHA-256 of its bytes.

    architecture: values that must be equal in the new training (generator_kinds.architecture); fitted: name -> array;
    networks: name -> float32 arrays in the order of the network's variables.
    """

    source: str
    digest: str
    architecture: Mapping[str, Any]
    fitted: Mapping[str, np.ndarray]
    networks: Mapping[str, list[np.ndarray]]

    def difference_to(self, architecture: Mapping[str, Any]) -> str | None:
        """The first value that differs from `architecture`, in words; None if a training of it can start here."""
        for name, value in architecture.items():
            if self.architecture.get(name) != value:
                return f"{name} {json.dumps(self.architecture.get(name))} and not {json.dumps(value)}"
        return None


def to_bytes(recipe: Recipe, architecture: Mapping[str, Any], fitted: Mapping[str, np.ndarray]) -> bytes:
    """The npz file of the trained networks of `recipe`, their architecture and fitted arrays, without pickles."""
    networks = {name: network.get_weights() for name, network in recipe.learned().items()}
    counts = {name: len(arrays) for name, arrays in networks.items()}
    about = json.dumps({"architecture": architecture, "fitted": sorted(fitted), "networks": counts}, sort_keys=True)
    arrays = {f"fitted/{name}": array for name, array in fitted.items()}
    arrays |= {f"{name}/{place}": array for name, weights in networks.items() for place, array in enumerate(weights)}
    stream = io.BytesIO()
    np.savez(stream, about=np.frombuffer(about.encode(), np.uint8), **arrays)
    return stream.getvalue()


def read(content: bytes, source: str) -> Weights:
    """The weights in bytes of `to_bytes`, from the file `source`; UserError if damaged or not finite."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            fitted = {name: stored[f"fitted/{name}"] for name in about["fitted"]}
            networks = {
                name: [stored[f"{name}/{place}"] for place in range(count)] for name, count in about["networks"].items()
            }
            architecture = dict(about["architecture"])
    except Exception as error:  # numpy, zipfile and json raise different exceptions for damaged bytes
        raise UserError(f"{source}: damaged weights ({error}); delete the folder, the next run fetches it") from None
    if not all(np.isfinite(array).all() for arrays in (fitted.values(), *networks.values()) for array in arrays):
        raise UserError(f"{source}: damaged weights (not all are finite); roll back, or set creatives.warm_start=false")
    return Weights(source, digest_bytes(content), architecture, fitted, networks)


def load_weights(recipe: Recipe, weights: Weights) -> None:
    """Set the networks of `recipe` to `weights`; UserError if their numbers or shapes differ."""
    learned = recipe.learned()
    expected = {name: [tuple(variable.shape) for variable in network.variables] for name, network in learned.items()}
    if {name: [array.shape for array in arrays] for name, arrays in weights.networks.items()} != expected:
        raise UserError(f"{weights.source}: damaged weights (they do not fit the networks that the file says they do)")
    for name, network in learned.items():
        network.set_weights(weights.networks[name])
    for average in recipe.averages:
        for source, shadow in zip(average.source, average.shadow, strict=True):
            shadow.assign(source)
