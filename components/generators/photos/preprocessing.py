"""Preprocessing of training photos: noise removal and augmentation."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from components.generators.photos.training_photos import Photos

Augmentation = Callable[[np.ndarray], list[np.ndarray]]  # uint8 [n, h, w, c] -> further versions of all of them


def denoise(photos: Photos, width: int) -> Photos:
    """The photos with a median filter of `width` x `width` pixels on each channel; 0: unchanged."""
    if width == 0:
        return photos
    from scipy.ndimage import median_filter

    return replace(photos, pictures=median_filter(photos.pictures, size=(1, width, width, 1), mode="nearest"))


def augment(photos: Photos, augmentations: Iterable[str]) -> Photos:
    """The photos, followed by their versions by each of `augmentations` (names in AUGMENTATIONS).

    Generators trained on the versions also make mirrored or shifted articles.
    """
    versions = [photos.pictures, *(version for way in augmentations for version in AUGMENTATIONS[way](photos.pictures))]
    times = len(versions)
    return Photos(
        np.concatenate(versions),
        np.tile(photos.category, times),
        photos.categories,
        np.tile(photos.segment_weights, (times, 1)),
    )


def _mirrored(pictures: np.ndarray) -> list[np.ndarray]:
    return [pictures[:, :, ::-1]]


def _shifted(pictures: np.ndarray) -> list[np.ndarray]:
    """By one pixel up, down, left and right; the border is repeated."""
    height, width = pictures.shape[1:3]
    wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return [wide[:, y : y + height, x : x + width] for y, x in ((0, 1), (2, 1), (1, 0), (1, 2))]


AUGMENTATIONS: dict[str, Augmentation] = {"mirror": _mirrored, "shift": _shifted}
