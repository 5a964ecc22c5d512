"""The interface of every generator of images."""

from typing import Protocol

import numpy as np


class Generator(Protocol):
    """Makes images for a category and a shopper segment.

    name: family and version such as `vae-1`, the `origin` of its creatives; shape: (height, width, channels);
    categories: names, by code; segments: number of known segments (the code `segments` means unknown).
    """

    name: str
    shape: tuple[int, int, int]
    categories: tuple[str, ...]
    segments: int

    def sample(
        self, category: np.ndarray, segment: np.ndarray, seed: int, traits: np.ndarray | None = None
    ) -> np.ndarray:
        """Images uint8 [n, h, w, c] for category and segment, int [n]; the same seed gives the same images.

        traits: int [n, 2], requested tone and build, ANY for no request (see photo_attributes); None: all ANY. Image i
        depends only on (category[i], segment[i], traits[i], seed, i), not on n.
        """
        ...

    def files(self) -> dict[str, bytes]:
        """File name -> bytes, without pickles."""
        ...
