"""Pictures -> vectors by a trained network, such as the encoder that a VAE leaves behind (`encoder.keras`)."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from components.contract.files.decoded_size import check_network
from components.settings.errors import UserError

BLOCK = 256  # pictures per call; the last block is padded, so that all are computed alike


@dataclass(frozen=True)
class NetworkEncoder:
    """A network of embeddings, kept as its file: equal files are equal encoders.

    content: a `.keras` file, read when it is first needed, of pictures (B, H, W, C) in [-1, 1] -> vectors (B, d).
    """

    content: bytes = field(repr=False)

    @cached_property
    def network(self) -> Any:
        """The keras.Model in the file."""
        return load_network(self.content)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) that it takes."""
        return tuple(self.network.inputs[0].shape[1:])

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.network.outputs[0].shape[1]

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, c] -> float32 [n, d], in the network's own units."""
        from keras import ops

        if pictures.shape[1:] != self.shape:
            raise UserError(f"the encoder network takes pictures {self.shape}, got {pictures.shape[1:]}")
        vectors = np.empty((len(pictures), self.dimensions), np.float32)
        for start in range(0, len(pictures), BLOCK):
            block = pictures[start : start + BLOCK]
            padded = np.zeros((BLOCK, *self.shape), np.float32)
            padded[: len(block)] = block / np.float32(127.5) - np.float32(1.0)
            found = ops.convert_to_numpy(self.network(ops.convert_to_tensor(padded), training=False))
            vectors[start : start + BLOCK] = found[: len(block)]
        if not np.isfinite(vectors).all():
            raise UserError("the encoder network gives embeddings that are not finite")
        return vectors

    def to_bytes(self) -> bytes:
        """The `.keras` file."""
        return self.content

    @classmethod
    def from_bytes(cls, content: bytes) -> "NetworkEncoder":
        """A `.keras` file -> encoder. Raises UserError for what is no network from pictures to vectors."""
        encoder = cls(content)
        ends = encoder.network.inputs, encoder.network.outputs
        taken, given = ([tuple(end.shape) for end in each] for each in ends)
        if not (_are_pictures(taken) and _are_vectors(given)):
            raise UserError(
                f"this network is no encoder: it takes {_listed(taken)} and gives {_listed(given)}, where "
                "pictures (None, height, width, 1 or 3) and vectors (None, dimensions) are due"
            )
        encoder.embed(np.zeros((1, *encoder.shape), np.uint8))  # weights that are not finite show here
        return encoder


def load_network(content: bytes, layers: Mapping[str, type] | None = None) -> Any:
    """Bytes of a `.keras` file -> keras.Model, in Keras's safe mode; `layers`: name -> class of those not Keras's own.

    Raises UserError where the bytes are something else, or would take too much memory (decoded_size.py).
    """
    import keras

    check_network(content, "this network", layers)
    with tempfile.TemporaryDirectory() as folder:  # Keras reads this format from paths alone
        path = Path(folder) / "network.keras"
        path.write_bytes(content)
        try:
            return keras.saving.load_model(path, custom_objects=layers, compile=False, safe_mode=True)
        except Exception as error:  # Keras, h5py and zipfile each raise their own on what they cannot read
            raise UserError(f"this is no Keras network: {(str(error) or repr(error)).splitlines()[0]}") from None


def _are_pictures(shapes: list[tuple]) -> bool:
    return len(shapes) == 1 and len(shapes[0]) == 4 and None not in shapes[0][1:] and shapes[0][3] in (1, 3)


def _are_vectors(shapes: list[tuple]) -> bool:
    return len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] is not None


def _listed(shapes: list[tuple]) -> str:
    return ", ".join(map(str, shapes))
