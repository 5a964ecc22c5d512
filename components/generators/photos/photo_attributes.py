"""Attributes measured on a photo and named in captions: tone (dark, light) and build (slim, wide)."""

from dataclasses import dataclass

import numpy as np

from components.generators.photos.article_mask import article

GROUND = 24  # grey levels from the border's median within which a pixel is background, on an even, dark background
DARK = 128  # a grey image with a darker border is an article on black, as in Fashion-MNIST; others are segmented
ANY, LOW, HIGH = 0, 1, 2  # codes of both attributes: not requested or in between; dark or slim; light or wide
BETWEEN = 3  # condition of generators for a photo in between, since 0 means not requested
TRAITS, TRAIT_CODES = 2, 4
SPOKEN_TONE, SPOKEN_BUILD = ("any", "dark", "light"), ("any", "slim", "wide")  # by code


@dataclass(frozen=True)
class Scales:
    """Terciles of each category's real photos: float64 [categories, 2], for tone (grey levels) and build (share)."""

    tone: np.ndarray
    build: np.ndarray

    @classmethod
    def fit(cls, pictures: np.ndarray, category: np.ndarray, categories: int) -> "Scales":
        """The terciles of tone and build by category of images uint8 [n, h, w, c]."""
        return cls.of_measures(*measure(pictures), category, categories)

    @classmethod
    def of_measures(cls, tone: np.ndarray, build: np.ndarray, category: np.ndarray, categories: int) -> "Scales":
        """`fit` for photos whose `measure` is known: tone, build float64 [n], category int [n]."""
        groups = [category == code for code in range(categories)]
        return cls(
            *(np.stack([np.quantile(values[group], (1 / 3, 2 / 3)) for group in groups]) for values in (tone, build))
        )

    def codes(self, pictures: np.ndarray, category: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(tone, build), int64 [n] each, of images uint8 [n, h, w, c]: LOW, HIGH, or ANY for the middle third."""
        return self.codes_of_measures(*measure(pictures), category)

    def codes_of_measures(
        self, tone: np.ndarray, build: np.ndarray, category: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`codes` for photos whose `measure` is known: tone, build float64 [n], category int [n]."""
        return _codes(tone, self.tone[category]), _codes(build, self.build[category])


def _codes(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """int64 [n] of float64 [n] and bounds [n, 2]: LOW, HIGH or ANY."""
    return np.where(values <= bounds[:, 0], LOW, np.where(values >= bounds[:, 1], HIGH, ANY))


def traits(scales: Scales, tone: np.ndarray, build: np.ndarray, category: np.ndarray) -> np.ndarray:
    """int32 [n, 2], LOW, HIGH or BETWEEN, of photos' `measure` (float64 [n] each) and category (int [n])."""
    codes = np.stack(scales.codes_of_measures(tone, build, category), axis=1)
    return np.where(codes == ANY, BETWEEN, codes).astype(np.int32)


def measure(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean grey level of the article, share of the image that it covers), float64 [n], of uint8 [n, h, w, c]."""
    grey = pictures.mean(axis=3)
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    ground = np.median(border, axis=1)  # [n]
    shown = np.abs(grey - ground[:, None, None]) > GROUND
    photographed = np.full(len(pictures), pictures.shape[3] > 1) | (ground > DARK)
    if photographed.any():
        shown[photographed] = article(pictures[photographed])
    covered = shown.mean(axis=(1, 2))
    tone = (grey * shown).sum(axis=(1, 2)) / np.maximum(shown.sum(axis=(1, 2)), 1)
    return tone, covered
