"""Where real photos lie: bounds that a made picture must keep, and how near it comes to a photo or to another."""

import io
from dataclasses import dataclass

import numpy as np

from components.images import Encoder, PictureEncoder, first_duplicates, fit_all, nearest
from components.settings.errors import UserError

FILE = "bounds.npz"  # of the photos' bounds in a package of generators
COPY_FRACTION = 0.5  # of the distance from a photo to its own nearest photo: closer than that is a copy of it
SAME = 0.1  # of the photos' gap: what lies nearer to each other is one photo listed twice
SAMPLE = 1000  # photos whose nearest others say how far apart photos are
FOLDS = 5  # that few photos are measured in, each by components found on the others
MANY = 50  # photos per component, from which it makes no difference whether a photo was among them
QUANTILES = (0.005, 0.995)  # of real photos, which a made picture must lie between


@dataclass(frozen=True)
class Bounds:
    """Between what real photos lie. low, high: float64 [2], of their `_typicality` by the encoder."""

    encoder: PictureEncoder
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, pictures: np.ndarray, encoder: PictureEncoder) -> "Bounds":
        """uint8 [n, h, w, c], n >= 3, real photos -> their bounds.

        Where photos are few, each is measured by components that were found without it: those found with it explain it
        too well, all of it in the end, and no other picture would lie within the bounds.
        """
        if len(pictures) >= MANY * encoder.dimensions:
            return cls(encoder, *np.quantile(_typicality(encoder, pictures), QUANTILES, axis=0))
        fold = np.arange(len(pictures)) % FOLDS
        parts = []
        for number in range(min(FOLDS, len(pictures))):
            others = PictureEncoder.fit(pictures[fold != number], encoder.dimensions, encoder.shrink)
            parts.append(_typicality(others, pictures[fold == number]))
        return cls(encoder, *np.quantile(np.concatenate(parts), QUANTILES, axis=0))

    def excess(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, c] -> float64 [n], >= 0: how far outside the bounds, in widths of the band between them."""
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
        """What `to_bytes` wrote -> bounds. Raises UserError where the bytes are something else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                return cls(PictureEncoder.from_bytes(stored["encoder"].tobytes()), stored["low"], stored["high"])
        except (ValueError, KeyError, OSError, EOFError, TypeError) as error:
            raise UserError(f"these are no bounds of photos: {error}") from None


@dataclass(frozen=True)
class Manifold:
    """Where real photos lie: their bounds, and the distinct ones' embeddings by the bounds' encoder, float32 [n, d].

    apart: median distance from an embedding to its nearest other; likeness: what near-duplicates are told by; gap: that
    median in its units.
    """

    bounds: Bounds
    embeddings: np.ndarray
    apart: float
    likeness: Encoder
    gap: float

    @classmethod
    def fit(cls, pictures: np.ndarray, encoder: PictureEncoder, likeness: Encoder | None = None) -> "Manifold":
        """uint8 [n, h, w, c], the photos that generators learn from -> their manifold; likeness None: the encoder's."""
        # a photo that is listed twice has its copy at distance 0, and nothing would be near enough to copy it
        pictures = pictures[np.sort(np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True)[1])]
        bounds, embeddings = Bounds.fit(pictures, encoder), encoder.embed(pictures)
        apart = _gap(embeddings)
        if likeness is None:
            return cls(bounds, embeddings, apart, encoder, apart)
        return cls(bounds, embeddings, apart, likeness, _gap(likeness.embed(fit_all(pictures, likeness.shape))))

    def excess(self, pictures: np.ndarray) -> np.ndarray:
        """As `Bounds.excess`."""
        return self.bounds.excess(pictures)

    def copies(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, c] -> bool [n]: nearer to a photo than `COPY_FRACTION` of that photo's nearest distance.

        That distance counts as `SAME` of the photos' median at least: some are the same one, saved anew.
        """
        closest, distance = nearest(self.bounds.encoder.embed(pictures), self.embeddings)
        photos, place = np.unique(closest[:, 0], return_inverse=True)
        # the nearest of all is the photo itself, at distance 0; the second is its neighbour
        own = nearest(self.embeddings[photos], self.embeddings, 2)[1][:, -1]
        return distance[:, 0] < COPY_FRACTION * np.maximum(own[place], SAME * self.apart)

    def repeats(self, pictures: np.ndarray, fraction: float) -> np.ndarray:
        """uint8 [n, h, w, c] -> bool [n]: within `fraction` of the photos' gap of an earlier one that is no repeat."""
        embeddings = self.likeness.embed(fit_all(pictures, self.likeness.shape))
        return first_duplicates(embeddings, fraction * self.gap) >= 0


def _gap(embeddings: np.ndarray) -> float:
    """float [n, d], n >= 2 -> the median distance from one to its nearest other, over at most `SAMPLE` of them."""
    some = embeddings[:: -(-len(embeddings) // SAMPLE)]
    return float(np.median(nearest(some, embeddings, 2)[1][:, 1]))  # the nearest of all is the photo itself


def _typicality(encoder: PictureEncoder, pictures: np.ndarray) -> np.ndarray:
    """float64 [n, 2]: log distance from the components' plane, and log spread within it (Moghaddam & Pentland 1997)."""
    scores = encoder.embed(pictures).astype(np.float64)
    spread = np.mean(scores**2 / np.maximum(encoder.variances, 1e-9), axis=1)
    return np.log(np.maximum(np.stack([encoder.residual(pictures), spread], axis=1), 1e-6))
