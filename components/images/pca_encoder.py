"""Embeds images by the principal components of their pixels (Pearson 1901; Turk & Pentland 1991, eigenfaces).

Features, the duplicate filter and admission share this encoder. It depends on no network's weights, so a retrained
generator changes none of them. `network_encoder.NetworkEncoder` is the alternative.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.settings.errors import UserError

MAX_INPUTS = 3072  # pixels x channels that the covariance is taken over
SKETCH_IMAGES = 8192  # images that the components of more inputs than that are computed from
BLOCK = 4096  # images per call


@dataclass(frozen=True)
class PictureEncoder:
    """Principal components of images of one shape.

    shape: (height, width, channels) of the input images; shrink: box-averaging factor applied first, >= 1;
    mean: float64 [p], in [0, 1]; components: float64 [p, d], orthonormal columns, largest variance first;
    variances: float64 [d], of each coordinate over the fitted images.
    """

    shape: tuple[int, int, int]
    shrink: int
    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.components.shape[1]

    @classmethod
    def fit(cls, pictures: np.ndarray, dimensions: int = 32, shrink: int | None = None) -> "PictureEncoder":
        """The encoder of images uint8 [n, h, w, c]: `dimensions` components, or min(p, n - 1) where that is less.

        shrink None: the least factor that leaves at most MAX_INPUTS values, which are enough to distinguish images.
        """
        if len(pictures) < 2:
            raise UserError(f"the picture encoder needs at least 2 pictures, got {len(pictures)}")
        shape = tuple(int(side) for side in pictures.shape[1:])
        shrink = shrink or _shrink_factor(shape)
        count = min(dimensions, flatten(pictures[:1], shrink).shape[1], len(pictures) - 1)
        mean, values, vectors = _principal(pictures, shrink, count)
        # an eigenvector's sign is arbitrary and differs between LAPACK builds: make its largest entry positive
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
        # LAPACK's last digits depend on where an array lies in memory: without rounding two fits could differ
        components = np.round(np.ascontiguousarray(vectors * signs), 7)
        return cls(shape, shrink, np.round(mean, 9), components, np.round(np.maximum(values, 0.0), 9))

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Coordinates float32 [n, d] along the components of images uint8 [n, h, w, c], with pixels in [0, 1]."""
        return self._project(pictures)[0].astype(np.float32)

    def residual(self, pictures: np.ndarray) -> np.ndarray:
        """float32 [n], in [0, 1]: the root mean square of each image's part that the components do not explain.

        It is large for noise and for images of another kind; admission uses it as its off-manifold measure.
        """
        return self._project(pictures)[1].astype(np.float32)

    def _project(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if pictures.shape[1:] != self.shape:
            raise UserError(f"the image encoder was fitted on images of shape {self.shape}, got {pictures.shape[1:]}")
        coordinates = np.empty((len(pictures), self.dimensions))
        residuals = np.empty(len(pictures))
        for start in range(0, len(pictures), BLOCK):
            centred = flatten(pictures[start : start + BLOCK], self.shrink) - self.mean  # (block, p)
            projected = centred @ self.components  # (block, d)
            unexplained = np.mean(centred**2, axis=1) - np.sum(projected**2, axis=1) / centred.shape[1]
            coordinates[start : start + BLOCK] = projected
            residuals[start : start + BLOCK] = np.sqrt(np.maximum(unexplained, 0.0))
        return coordinates, residuals

    def to_bytes(self) -> bytes:
        """The encoder as an npz file without pickles; equal encoders give equal bytes."""
        stream = io.BytesIO()
        np.savez(
            stream,
            shape=np.array(self.shape),
            shrink=np.array(self.shrink),
            mean=self.mean,
            components=self.components,
            variances=self.variances,
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "PictureEncoder":
        """The encoder that `to_bytes` wrote. Raises UserError if the bytes are something else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                shape = tuple(int(side) for side in stored["shape"])
                arrays = (stored["mean"], stored["components"], stored["variances"])
                return cls(shape, int(stored["shrink"]), *arrays)
        except (ValueError, KeyError, OSError, EOFError, TypeError) as error:
            raise UserError(f"this is not an image encoder: {error}") from None


def flatten(pictures: np.ndarray, shrink: int) -> np.ndarray:
    """Pixels float64 [n, p] in [0, 1] of images uint8 [n, h, w, c], averaged over boxes of shrink x shrink pixels."""
    count, height, width, channels = pictures.shape
    rows, columns = height // shrink, width // shrink
    cropped = pictures[:, : rows * shrink, : columns * shrink].astype(np.float64) / 255.0
    boxes = cropped.reshape(count, rows, shrink, columns, shrink, channels)
    return boxes.mean(axis=(2, 4)).reshape(count, -1)


def _shrink_factor(shape: tuple[int, ...]) -> int:
    height, width, channels = shape
    factor = 1
    while (height // factor) * (width // factor) * channels > MAX_INPUTS:
        factor += 1
    return factor


def _principal(pictures: np.ndarray, shrink: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [p], the `count` largest variances and their directions [p, count], largest first."""
    from scipy.linalg import eigh, svd

    mean = sum(flatten(block, shrink).sum(axis=0) for block in _blocks(pictures)) / len(pictures)
    if len(mean) > MAX_INPUTS:
        return mean, *_sketched(flatten(pictures[:: -(-len(pictures) // SKETCH_IMAGES)], shrink) - mean, count)
    if len(pictures) < len(mean):  # fewer images than pixels: the covariance would be the larger problem
        _, singular, rows = svd(flatten(pictures, shrink) - mean, full_matrices=False)
        return mean, singular[:count] ** 2 / len(pictures), rows[:count].T
    covariance = np.zeros((len(mean), len(mean)))
    for block in _blocks(pictures):
        centred = flatten(block, shrink) - mean
        covariance += centred.T @ centred
    values, vectors = eigh(covariance / len(pictures), subset_by_index=(len(mean) - count, len(mean) - 1))
    return mean, values[::-1], vectors[:, ::-1]


def _sketched(centred: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest variances of [n, p] and their directions [p, count], by a random sketch (Halko 2011)."""
    from sklearn.utils.extmath import randomized_svd

    _, singular, rows = randomized_svd(centred, count, n_iter=7, random_state=0)
    return singular**2 / len(centred), rows.T


def _blocks(pictures: np.ndarray) -> Iterator[np.ndarray]:
    return (pictures[start : start + BLOCK] for start in range(0, len(pictures), BLOCK))
