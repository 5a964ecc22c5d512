"""What every encoder of pictures is, whatever its vectors are made of."""

from typing import Protocol

import numpy as np


class Encoder(Protocol):
    """Pictures of one shape -> vectors, near each other where the pictures are alike.

    Distances compare within one encoder alone: each has units of its own.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) that it takes."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        ...

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, c] -> float32 [n, d], finite; a picture's vector does not depend on the others.

        Raises UserError for pictures of another shape (`fit_all` makes them fit).
        """
        ...

    def to_bytes(self) -> bytes:
        """The whole encoder, without a pickle and without a path; `from_bytes` of its class reads them."""
        ...
