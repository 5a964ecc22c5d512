"""A normal distribution per category on 100 principal components, the simplest baseline."""

from dataclasses import dataclass

import numpy as np

from components.generators.photos.training_photos import Photos
from components.images import PictureEncoder

COMPONENTS = 100


@dataclass(frozen=True)
class Gaussians:
    """See `components.generators.generator_protocol.Generator`; means float64 [k, d], roots float64 [k, d, d]."""

    encoder: PictureEncoder
    means: np.ndarray
    roots: np.ndarray
    categories: tuple[str, ...]
    segments: int
    name: str = "gaussian-1"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its images."""
        return self.encoder.shape

    @classmethod
    def fit(cls, photos: Photos) -> "Gaussians":
        """The mean and covariance of each category's coordinates in the photos."""
        encoder = PictureEncoder.fit(photos.pictures, COMPONENTS)
        groups = [encoder.embed(photos.pictures[photos.category == code]) for code in range(len(photos.categories))]
        means = np.stack([group.mean(axis=0, dtype=np.float64) for group in groups])
        roots = np.stack([np.linalg.cholesky(np.cov(group.T) + 1e-8 * np.eye(group.shape[1])) for group in groups])
        return cls(encoder, means, roots, photos.categories, photos.segments)

    def sample(self, category: np.ndarray, segment: np.ndarray, seed: int, traits=None) -> np.ndarray:
        """Images uint8 [n, h, w, c] of the categories int [n]; segments and traits are ignored."""
        noise = np.random.default_rng(seed).standard_normal((len(category), self.means.shape[1]))
        coordinates = np.empty_like(noise)
        for code in np.unique(category):
            rows = category == code
            coordinates[rows] = self.means[code] + noise[rows] @ self.roots[code].T
        pixels = self.encoder.mean + coordinates @ self.encoder.components.T
        return np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8).reshape(-1, *self.shape)

    def files(self) -> dict[str, bytes]:
        """No files: the model is fitted in seconds."""
        return {}
