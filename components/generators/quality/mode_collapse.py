"""Mode collapse, told from the pictures alone as soon as a generator is trained."""

import numpy as np

from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import Photos
from components.generators.quality.distances import relative_spread

PER_CATEGORY = 100  # pictures and photos that are compared


def diversity(generator: Generator, photos: Photos, seed: int) -> float:
    """Spread of the pixels of its least diverse category over that of as many real photos; of unknown segment."""
    codes = np.unique(photos.category)
    asked = np.repeat(codes, PER_CATEGORY)
    made = generator.sample(asked, np.full(len(asked), photos.segments), seed)
    rows = np.concatenate([np.flatnonzero(photos.category == code)[:PER_CATEGORY] for code in codes])
    return relative_spread(_flat(made), asked, _flat(photos.pictures[rows]), photos.category[rows])


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1).astype(np.float32)
