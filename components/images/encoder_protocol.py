"""The interface of image encoders."""

from typing import Protocol

import numpy as np


class Encoder(Protocol):
    """Maps images of one shape to vectors; similar images have near vectors.

    Distances are comparable only within one encoder: each encoder has its own units.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its input images."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        ...

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Embeddings float32 [n, d], finite, of images uint8 [n, h, w, c]; none depends on the other images.

        Raises UserError for images of another shape (`fit_all` fits them).
        """
        ...

    def to_bytes(self) -> bytes:
        """The whole encoder as bytes, without pickles; `from_bytes` of its class reads them."""
        ...
