"""The look of an image (four numbers that shoppers have tastes for) and its distance from real photos.

An image is resized to x in [0, 1]^(28x28) by area averaging, so the look is defined for any size.

    look_j(x) = (<x, c_uv> - mean_j) / sd_j         c_uv: 2-D DCT-II atom, (u, v) = frequency down and across
        j = 0  brightness        (0, 0)
        j = 1  weight at the top (1, 0)
        j = 2  upright stripes   (0, 6)
        j = 3  level stripes     (6, 0)

mean and sd are those of real photos. The variance of the chosen atoms is mostly *within* a category (56 to 86 %), so
that the look does not merely encode the category.

    off(x) = over(log major(x)) + over(log minor(x)) + over(log detail(x)),  capped at 3

The 14x14 sums of 2x2 blocks have 196 principal components over real photos, with scores z_k and variances lambda_k.
major = mean of z_k^2 / lambda_k over the first 64 (distance within the space of photos), minor = the same over the
others (distance from it; Moghaddam & Pentland 1997), detail = the energy within blocks, which the sums do not see.
over(v) is the distance of v from the [0.5 %, 99.5 %] quantiles of real photos, in units of their interquartile range.
It is two-sided: noise has too large values, a blurred, blank or averaged image too small ones. With fewer than FEWEST
photos these quantiles are not known, and off(x) = 0.
"""

from dataclasses import dataclass

import numpy as np

SIDE = 28
ATOMS = ((0, 0), (1, 0), (0, 6), (6, 0))
MAJOR = 64
# Corners of real photos are always black, so without a floor the faintest grey there would have an infinite distance.
# This floor is the variance of noise of 3 % of the range in every pixel.
LEAST_VARIANCE = 1e-3
SAMPLE = 4000  # real photos that the PCA is fitted on: the first of the train split
MAX_PENALTY = 3.0
FEWEST = 500  # real photos from which the quantiles of 0.5 % are known
_QUANTILES = (0.005, 0.25, 0.75, 0.995)
_NO_BOUNDS = np.tile([-np.inf, 0.0, 1.0, np.inf], (3, 1))


@dataclass(frozen=True)
class Look:
    """A fitted look: `mean`, `scale` [4] of the atoms; `centre` [28, 28], the mean photo; `basis` [196, 196] and
    `variance` [196] of the blocks' principal components, largest first; `bounds` [3, 4], quantiles of log distances."""

    mean: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    basis: np.ndarray
    variance: np.ndarray
    bounds: np.ndarray

    def project(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look float64 [n, 4] and penalty off(x) float64 [n] in [0, 3] of canonical images float64 [n, 28, 28]."""
        look = (_atoms(pictures) - self.mean) / self.scale
        distances = _log_distances(pictures, self.centre, self.basis, self.variance)  # (n, 3)
        low, lower, upper, high = self.bounds.T
        over = (np.maximum(low - distances, 0) + np.maximum(distances - high, 0)) / (upper - lower)
        return look, np.minimum(over.sum(axis=1), MAX_PENALTY)


def fit_look(pictures: np.ndarray) -> Look:
    """The look fitted to real photos uint8 [n, 28, 28]."""
    photos = pictures[:SAMPLE].astype(np.float64) / 255.0
    centre = photos.mean(axis=0)
    variance, basis = np.linalg.eigh(np.cov(_blocks(photos - centre).T))  # ascending
    variance, basis = np.maximum(variance[::-1], LEAST_VARIANCE), basis[:, ::-1]
    distances = _log_distances(photos, centre, basis, variance)
    coefficients = _atoms(photos)
    return Look(
        mean=coefficients.mean(axis=0),
        scale=coefficients.std(axis=0),
        centre=centre,
        basis=basis,
        variance=variance,
        bounds=np.quantile(distances, _QUANTILES, axis=0).T if len(photos) >= FEWEST else _NO_BOUNDS,
    )


def canonical(picture: np.ndarray) -> np.ndarray:
    """A grey image float64 [h, w] in [0, 1], resized to [28, 28] by area averaging; one of 28x28 is not changed."""
    height, width = picture.shape
    if (height, width) == (SIDE, SIDE):
        return picture
    return _averaging(height) @ picture @ _averaging(width).T


def _averaging(length: int) -> np.ndarray:
    """Weights float64 [28, length] of `length` pixels in each of 28 equal intervals; rows sum to 1."""
    edges = np.arange(SIDE + 1) * (length / SIDE)
    left = np.maximum(edges[:-1, None], np.arange(length))
    right = np.minimum(edges[1:, None], np.arange(1, length + 1))
    return np.maximum(right - left, 0) * (SIDE / length)


def _blocks(pictures: np.ndarray) -> np.ndarray:
    """Coefficients float64 [n, 196] on 2x2 blocks of unit norm: half the sum of each block's four pixels."""
    half = SIDE // 2
    return pictures.reshape(-1, half, 2, half, 2).sum(axis=(2, 4)).reshape(-1, half * half) / 2


def _atoms(pictures: np.ndarray) -> np.ndarray:
    """Coefficients float64 [n, 4] of the four DCT atoms."""
    return np.stack([np.einsum("nij,i,j->n", pictures, _cosine(u), _cosine(v)) for u, v in ATOMS], axis=1)


def _cosine(frequency: int) -> np.ndarray:
    wave = np.cos(np.pi * (np.arange(SIDE) + 0.5) * frequency / SIDE)
    return wave / np.sqrt((wave**2).sum())


def _log_distances(pictures: np.ndarray, centre: np.ndarray, basis: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Logarithms of major, minor and detail: float64 [n, 3]."""
    offset = pictures - centre
    blocks = _blocks(offset)
    scaled = (blocks @ basis) ** 2 / variance  # (n, 196)
    detail = np.einsum("nij,nij->n", pictures, pictures) - (_blocks(pictures) ** 2).sum(axis=1)
    distances = np.stack([scaled[:, :MAJOR].mean(axis=1), scaled[:, MAJOR:].mean(axis=1), detail], axis=1)
    return np.log(np.maximum(distances, 1e-6))
