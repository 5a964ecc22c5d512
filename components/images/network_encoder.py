"""Embeds images with a trained network, such as a VAE's encoder (`encoder.keras`)."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from components.contract.files.decoded_size import check_network
from components.settings.errors import UserError

BLOCK = 256  # images per call; the last block is padded, so that every image is computed in the same shape


@dataclass(frozen=True)
class NetworkEncoder:
    """An embedding network, stored as its file's bytes: two encoders with equal files are equal.

    content: a `.keras` file, loaded at first use; its network maps images (B, H, W, C) in [-1, 1] to vectors (B, d).
    """

    content: bytes = field(repr=False)

    @cached_property
    def network(self) -> Any:
        """The keras.Model in the file."""
        return load_network(self.content)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its input images."""
        return tuple(self.network.inputs[0].shape[1:])

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.network.outputs[0].shape[1]

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Embeddings float32 [n, d] of images uint8 [n, h, w, c], in the network's units."""
        from keras import ops

        if pictures.shape[1:] != self.shape:
            raise UserError(f"the encoder network takes images of shape {self.shape}, got {pictures.shape[1:]}")
        vectors = np.empty((len(pictures), self.dimensions), np.float32)
        for start in range(0, len(pictures), BLOCK):
            block = pictures[start : start + BLOCK]
            padded = np.zeros((BLOCK, *self.shape), np.float32)
            padded[: len(block)] = block / np.float32(127.5) - np.float32(1.0)
            outputs = ops.convert_to_numpy(self.network(ops.convert_to_tensor(padded), training=False))
            vectors[start : start + BLOCK] = outputs[: len(block)]
        if not np.isfinite(vectors).all():
            raise UserError("the encoder network's embeddings are not finite")
        return vectors

    def to_bytes(self) -> bytes:
        """The `.keras` file."""
        return self.content

    @classmethod
    def from_bytes(cls, content: bytes) -> "NetworkEncoder":
        """The encoder in a `.keras` file. Raises UserError if its network does not map images to vectors."""
        encoder = cls(content)
        inputs, outputs = (
            [tuple(tensor.shape) for tensor in tensors] for tensors in (encoder.network.inputs, encoder.network.outputs)
        )
        if not (_are_images(inputs) and _are_vectors(outputs)):
            raise UserError(
                f"this network is not an image encoder: its inputs have the shapes {_listed(inputs)} and its outputs "
                f"{_listed(outputs)}; expected images (None, height, width, 1 or 3) and vectors (None, dimensions)"
            )
        encoder.embed(np.zeros((1, *encoder.shape), np.uint8))  # raises where the weights are not finite
        return encoder


def load_network(content: bytes, layers: Mapping[str, type] | None = None) -> Any:
    """The keras.Model in the bytes of a `.keras` file, loaded in Keras's safe mode.

    layers: name -> class of the layers that Keras does not define. Raises UserError if the bytes are not such a file or
    would take too much memory (decoded_size.py).
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


def _are_images(shapes: list[tuple]) -> bool:
    return len(shapes) == 1 and len(shapes[0]) == 4 and None not in shapes[0][1:] and shapes[0][3] in (1, 3)


def _are_vectors(shapes: list[tuple]) -> bool:
    return len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] is not None


def _listed(shapes: list[tuple]) -> str:
    return ", ".join(map(str, shapes))
