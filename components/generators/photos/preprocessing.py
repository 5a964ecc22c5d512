"""What is done to photos before generators learn from them: noise taken away, more of them made from few."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from components.generators.photos.training_photos import Photos

Way = Callable[[np.ndarray], list[np.ndarray]]  # uint8 [n, h, w, c] -> further versions of all of them


def denoise(photos: Photos, width: int) -> Photos:
    """Each channel under a median filter of `width` x `width` pixels; 0 leaves the photos as they are."""
    if width == 0:
        return photos
    from scipy.ndimage import median_filter

    return replace(photos, pictures=median_filter(photos.pictures, size=(1, width, width, 1), mode="nearest"))


def augment(photos: Photos, ways: Iterable[str]) -> Photos:
    """The photos, then their further versions by each of `ways` (names in WAYS), each with its photo's conditions.

    Versions are photos to the generators, so they draw mirrored or shifted articles too.
    """
    versions = [photos.pictures, *(version for way in ways for version in WAYS[way](photos.pictures))]
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


WAYS: dict[str, Way] = {"mirror": _mirrored, "shift": _shifted}
