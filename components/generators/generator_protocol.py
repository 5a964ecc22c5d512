"""What every generator of pictures is, whatever made it."""

from typing import Protocol

import numpy as np


class Generator(Protocol):
    """Makes pictures for a category and a shopper segment.

    name: family and version such as `vae-1`, the `origin` of its creatives; shape: (height, width, channels);
    categories: what its category codes mean; segments: known segments (the code `segments` means unknown).
    """

    name: str
    shape: tuple[int, int, int]
    categories: tuple[str, ...]
    segments: int

    def sample(
        self, category: np.ndarray, segment: np.ndarray, seed: int, traits: np.ndarray | None = None
    ) -> np.ndarray:
        """int [n], int [n] -> uint8 [n, h, w, c]; the same seed gives the same pictures.

        traits: int [n, 2], the tone and build that are wanted, ANY where neither matters (see `attributes`); None: ANY
        throughout. Picture i depends on (category[i], segment[i], traits[i], seed, i) alone, not on how many are asked
        for at once.
        """
        ...

    def files(self) -> dict[str, bytes]:
        """The generator as named files, none of them a pickle."""
        ...
