"""What can be measured on a photo and said in words: its tone (dark, light) and its build (slim, wide)."""

from dataclasses import dataclass

import numpy as np

from components.generators.photos.article_mask import article

GROUND = 24  # grey levels from the border's median within which a pixel belongs to an even, dark ground
DARK = 128  # a grey picture on a ground below is one cut out on black, as Fashion-MNIST's; others are segmented
ANY, LOW, HIGH = 0, 1, 2  # codes of both attributes: unspoken or in between; dark or slim; light or wide
BETWEEN = 3  # what generators are told of a photo in between, so that 0 is left for what is not said
TRAITS, TRAIT_CODES = 2, 4
SPOKEN_TONE, SPOKEN_BUILD = ("any", "dark", "light"), ("any", "slim", "wide")  # by code


@dataclass(frozen=True)
class Scales:
    """Terciles of each category's real photos: float64 [categories, 2], for tone (grey levels) and build (share)."""

    tone: np.ndarray
    build: np.ndarray

    @classmethod
    def fit(cls, pictures: np.ndarray, category: np.ndarray, categories: int) -> "Scales":
        """uint8 [n, h, w, c], int [n] -> what counts as dark, light, slim and wide within each category."""
        return cls.of_measures(*measure(pictures), category, categories)

    @classmethod
    def of_measures(cls, tone: np.ndarray, build: np.ndarray, category: np.ndarray, categories: int) -> "Scales":
        """The scales of photos whose `measure` is known: tone, build float64 [n], category int [n]."""
        groups = [category == code for code in range(categories)]
        return cls(
            *(np.stack([np.quantile(values[group], (1 / 3, 2 / 3)) for group in groups]) for values in (tone, build))
        )

    def codes(self, pictures: np.ndarray, category: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [n, h, w, c], int [n] -> (tone, build), int64 [n] each: LOW, HIGH, or ANY for the middle third."""
        return self.codes_of_measures(*measure(pictures), category)

    def codes_of_measures(
        self, tone: np.ndarray, build: np.ndarray, category: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`codes` of photos whose `measure` is known: tone, build float64 [n], category int [n]."""
        return _codes(tone, self.tone[category]), _codes(build, self.build[category])


def _codes(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """float64 [n], float64 [n, 2] -> int64 [n]: LOW, HIGH or ANY."""
    return np.where(values <= bounds[:, 0], LOW, np.where(values >= bounds[:, 1], HIGH, ANY))


def traits(scales: Scales, tone: np.ndarray, build: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Photos' `measure`, float64 [n] each, and category, int [n] -> int32 [n, 2]: LOW, HIGH or BETWEEN."""
    codes = np.stack(scales.codes_of_measures(tone, build, category), axis=1)
    return np.where(codes == ANY, BETWEEN, codes).astype(np.int32)


def measure(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [n, h, w, c] -> (mean grey level of the article, share of the picture that it covers), float64 [n] each."""
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
