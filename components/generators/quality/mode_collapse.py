"""Detect mode collapse from the pixels of a generator's images, right after its training."""

import numpy as np

from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import Photos
from components.generators.quality.distances import relative_spread

PER_CATEGORY = 100  # images and photos compared


def diversity(generator: Generator, photos: Photos, seed: int) -> float:
    """Pixel spread of its least diverse category over that of as many real photos; images of unknown segment."""
    codes = np.unique(photos.category)
    category = np.repeat(codes, PER_CATEGORY)
    made = generator.sample(category, np.full(len(category), photos.segments), seed)
    rows = np.concatenate([np.flatnonzero(photos.category == code)[:PER_CATEGORY] for code in codes])
    return relative_spread(_flat(made), category, _flat(photos.pictures[rows]), photos.category[rows])


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1).astype(np.float32)
