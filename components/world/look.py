"""Any picture -> its look (four numbers that shoppers have a taste for) and how far it is from real photos.

A picture is brought to x in [0, 1]^(28x28) by area averaging, so the look is defined for any size.

    look_j(x) = (<x, c_uv> - mean_j) / sd_j         c_uv: 2-D DCT-II atom, (u, v) = frequency down and across
        j = 0  brightness        (0, 0)
        j = 1  weight at the top (1, 0)
        j = 2  upright stripes   (0, 6)
        j = 3  level stripes     (6, 0)

mean and sd are those of real photos. Atoms were taken whose variance is mostly *within* a category (56 to 86 %), so
that a look is not another word for a category.

    off(x) = over(log residual(x)) + over(log spread(x)),  capped at 3

with residual(x) the squared error left by a PCA of 64 components of real photos and spread(x) = mean_k z_k^2/lambda_k
the squared Mahalanobis distance within them (Moghaddam & Pentland 1997, eq. 9: distance from and in feature space).
over(v) is how far v lies outside the [0.5 %, 99.5 %] quantiles of real photos, in units of their interquartile range.
It is two-sided: noise leaves too much residual, a blurred or blank picture too little.
"""

from dataclasses import dataclass

import numpy as np

SIDE = 28
ATOMS = ((0, 0), (1, 0), (0, 6), (6, 0))
COMPONENTS = 64
SAMPLE = 6000  # real photos that the PCA is fitted on: the first of the train split
MAX_PENALTY = 3.0
_QUANTILES = (0.005, 0.25, 0.75, 0.995)


@dataclass(frozen=True)
class Look:
    """A fitted look: `mean`, `scale` [4]; `centre` [784], `basis` [784, k], `variance` [k]; `bounds` [2, 4] quantiles."""

    mean: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    basis: np.ndarray
    variance: np.ndarray
    bounds: np.ndarray

    def project(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Canonical pictures float64 [n, 28, 28] -> look float64 [n, 4] and penalty float64 [n] in [0, 3]."""
        look = (_atoms(pictures) - self.mean) / self.scale
        typical = np.log(_distances(pictures, self.centre, self.basis, self.variance))  # (n, 2)
        low, lower, upper, high = self.bounds.T
        over = (np.maximum(low - typical, 0) + np.maximum(typical - high, 0)) / (upper - lower)
        return look, np.minimum(over.sum(axis=1), MAX_PENALTY)


def fit_look(pictures: np.ndarray) -> Look:
    """Real photos uint8 [n, 28, 28] -> the look, whose scale and manifold are theirs."""
    photos = pictures[:SAMPLE].astype(np.float64) / 255.0
    flat = photos.reshape(len(photos), -1)  # (n, 784)
    centre = flat.mean(axis=0)
    variance, basis = np.linalg.eigh(np.cov((flat - centre).T))
    kept = slice(None, -min(COMPONENTS, len(photos) // 4) - 1, -1)  # eigh sorts upwards
    # A direction without variance would make `spread` infinite.
    variance, basis = np.maximum(variance[kept], 1e-9), basis[:, kept]
    typical = np.log(_distances(photos, centre, basis, variance))
    coefficients = _atoms(photos)
    return Look(
        mean=coefficients.mean(axis=0),
        scale=coefficients.std(axis=0),
        centre=centre,
        basis=basis,
        variance=variance,
        bounds=np.quantile(typical, _QUANTILES, axis=0).T,
    )


def canonical(picture: np.ndarray) -> np.ndarray:
    """Grey picture float64 [h, w] in [0, 1] -> [28, 28] by area averaging; one of 28x28 comes back as it is."""
    height, width = picture.shape
    if (height, width) == (SIDE, SIDE):
        return picture
    return _averaging(height) @ picture @ _averaging(width).T


def _averaging(length: int) -> np.ndarray:
    """Weights float64 [28, length]: the share of each of `length` pixels in each of 28 equal stretches; rows sum to 1."""
    edges = np.arange(SIDE + 1) * (length / SIDE)
    left = np.maximum(edges[:-1, None], np.arange(length))
    right = np.minimum(edges[1:, None], np.arange(1, length + 1))
    return np.maximum(right - left, 0) * (SIDE / length)


def _atoms(pictures: np.ndarray) -> np.ndarray:
    """Coefficients float64 [n, 4] of the four DCT atoms."""
    return np.stack([np.einsum("nij,i,j->n", pictures, _cosine(u), _cosine(v)) for u, v in ATOMS], axis=1)


def _cosine(frequency: int) -> np.ndarray:
    wave = np.cos(np.pi * (np.arange(SIDE) + 0.5) * frequency / SIDE)
    return wave / np.sqrt((wave**2).sum())


def _distances(pictures: np.ndarray, centre: np.ndarray, basis: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Residual from and spread within the components, float64 [n, 2], both > 0."""
    offset = pictures.reshape(len(pictures), -1) - centre
    scores = offset @ basis  # (n, k)
    residual = (offset**2).sum(axis=1) - (scores**2).sum(axis=1)
    spread = (scores**2 / variance).mean(axis=1)
    return np.maximum(np.stack([residual, spread], axis=1), 1e-6)
