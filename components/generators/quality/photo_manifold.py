"""The manifold of real photos: bounds for generated images, and their distances to photos and to each other."""

import io
from dataclasses import dataclass

import numpy as np

from components.images import Encoder, PictureEncoder, fit_all, nearest
from components.settings.errors import UserError

BOUNDS_FILE = "bounds.npz"  # in a package of generators
COPY_FRACTION = 0.5  # of the distance from a photo to its nearest other photo; an image nearer than that is a copy
MIN_SPACING = 0.1  # of the photos' median spacing; photos nearer to each other are one photo, stored twice
SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # rows and columns by which near-duplicates may be moved
SAMPLE = 1000  # photos for the median spacing
FOLDS = 5  # of cross-validation if there are few photos
PHOTOS_PER_COMPONENT = 50  # from so many photos per component on, cross-validation makes no difference
QUANTILES = (0.005, 0.995)  # of real photos, the bounds for generated images


@dataclass(frozen=True)
class Bounds:
    """Bounds of real photos. low, high: float64 [2], of `_typicality` by the encoder."""

    encoder: PictureEncoder
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, pictures: np.ndarray, encoder: PictureEncoder) -> "Bounds":
        """The bounds of real photos uint8 [n, h, w, c], n >= 3.

        If photos are few, each is measured by components that were fitted without it. Components fitted with it explain
        it too well, so that other images would be outside the bounds.
        """
        if len(pictures) >= PHOTOS_PER_COMPONENT * encoder.dimensions:
            return cls(encoder, *np.quantile(_typicality(encoder, pictures), QUANTILES, axis=0))
        fold = np.arange(len(pictures)) % FOLDS
        parts = []
        for number in range(min(FOLDS, len(pictures))):
            others = PictureEncoder.fit(pictures[fold != number], encoder.dimensions, encoder.shrink)
            parts.append(_typicality(others, pictures[fold == number]))
        return cls(encoder, *np.quantile(np.concatenate(parts), QUANTILES, axis=0))

    def excess(self, pictures: np.ndarray) -> np.ndarray:
        """float64 [n] >= 0, distance of images uint8 [n, h, w, c] from the bounds, in units of the bounds' width."""
        typical = _typicality(self.encoder, pictures)
        outside = np.maximum(self.low - typical, 0.0) + np.maximum(typical - self.high, 0.0)
        return (outside / np.maximum(self.high - self.low, 1e-9)).sum(axis=1)

    def to_bytes(self) -> bytes:
        """The bounds as an npz file without pickles; equal bounds give equal bytes."""
        stream = io.BytesIO()
        np.savez(stream, encoder=np.frombuffer(self.encoder.to_bytes(), np.uint8), low=self.low, high=self.high)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Bounds":
        """The bounds that `to_bytes` wrote; UserError for other bytes."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                return cls(PictureEncoder.from_bytes(stored["encoder"].tobytes()), stored["low"], stored["high"])
        except (ValueError, KeyError, OSError, EOFError, TypeError) as error:
            raise UserError(f"these are not bounds of photos: {error}") from None


@dataclass(frozen=True)
class Manifold:
    """The bounds of real photos, and the embeddings float32 [n, d] of the distinct ones by the bounds' encoder.

    spacing: median distance from an embedding to its nearest other; duplicate_encoder: for near-duplicates;
    duplicate_spacing: as `spacing`, by that encoder.
    """

    bounds: Bounds
    embeddings: np.ndarray
    spacing: float
    duplicate_encoder: Encoder
    duplicate_spacing: float

    @classmethod
    def fit(cls, pictures: np.ndarray, encoder: PictureEncoder, duplicate_encoder: Encoder | None = None) -> "Manifold":
        """The manifold of training photos uint8 [n, h, w, c]; duplicate_encoder: None: `encoder`."""
        # the nearest other of a photo that is stored twice is at distance 0, so no image could count as its copy
        pictures = pictures[np.sort(np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True)[1])]
        bounds, embeddings = Bounds.fit(pictures, encoder), encoder.embed(pictures)
        apart = _gap(embeddings)
        if duplicate_encoder is None:
            return cls(bounds, embeddings, apart, encoder, apart)
        return cls(
            bounds,
            embeddings,
            apart,
            duplicate_encoder,
            _gap(duplicate_encoder.embed(fit_all(pictures, duplicate_encoder.shape))),
        )

    def excess(self, pictures: np.ndarray) -> np.ndarray:
        """As `Bounds.excess`."""
        return self.bounds.excess(pictures)

    def copies(self, pictures: np.ndarray) -> np.ndarray:
        """bool [n]: images uint8 [n, h, w, c] that are nearer to a photo than COPY_FRACTION of its nearest distance.

        That distance counts as at least MIN_SPACING of the photos' median, since a photo may be stored twice.
        """
        closest, distance = nearest(self.bounds.encoder.embed(pictures), self.embeddings)
        photos, place = np.unique(closest[:, 0], return_inverse=True)
        # the nearest is the photo itself, at distance 0; the second is its neighbour
        neighbour = nearest(self.embeddings[photos], self.embeddings, 2)[1][:, -1]
        return distance[:, 0] < COPY_FRACTION * np.maximum(neighbour[place], MIN_SPACING * self.spacing)

    def near_duplicates(self, pictures: np.ndarray, fraction: float) -> np.ndarray:
        """bool [n]: images uint8 [n, h, w, c] within `fraction` of the photos' spacing from an earlier accepted one, as
        they are or moved by one pixel."""
        fitted, radius = fit_all(pictures, self.duplicate_encoder.shape), fraction * self.duplicate_spacing
        repeated = np.zeros(len(fitted), bool)
        if not len(fitted):
            return repeated
        moved = np.stack([self.duplicate_encoder.embed(np.roll(fitted, shift, axis=(1, 2))) for shift in SHIFTS])
        for row in range(1, len(fitted)):  # moved: (shifts, n, d); the first shift is none
            apart = np.linalg.norm(moved[:, row, None] - moved[0, :row][None, ~repeated[:row]], axis=2)
            repeated[row] = apart.min(initial=np.inf) < radius
        return repeated


def _gap(embeddings: np.ndarray) -> float:
    """Median distance from an embedding float [n, d], n >= 2, to its nearest other, over at most SAMPLE of them."""
    some = embeddings[:: -(-len(embeddings) // SAMPLE)]
    return float(np.median(nearest(some, embeddings, 2)[1][:, 1]))  # the nearest is the photo itself


def _typicality(encoder: PictureEncoder, pictures: np.ndarray) -> np.ndarray:
    """float64 [n, 2]: log distance from the plane of components, and log spread in it (Moghaddam & Pentland 1997)."""
    scores = encoder.embed(pictures).astype(np.float64)
    spread = np.mean(scores**2 / np.maximum(encoder.variances, 1e-9), axis=1)
    return np.log(np.maximum(np.stack([encoder.residual(pictures), spread], axis=1), 1e-6))
