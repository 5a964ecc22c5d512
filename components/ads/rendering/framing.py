"""Frame a colour photo for a panel of an ad: the article stays, and the panel is filled.

A photo on an even ground is cropped to its article, with some room, or continued with its ground. Another photo fills
the panel if at most 40 % of a side is cropped for it; else it is shown whole, and its edges are continued.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from components.generators.photos.article_mask import article
from components.images import border, border_colour

MOST_CROPPED = 0.4  # of a side of a photo without an even ground
EVEN, UNEVEN_SHARE = 16, 0.1  # grey levels from the border's median; share of the border that may differ more
ROOM = 0.2  # around the article, of the longer side of its box
CLOSEST = 0.5  # of the largest window of the panel's aspect; closer, small photos would be blurred
SIDE = 64  # pixels of the reduced photo in which the article is looked for
TRIM = 0.005  # share of the article's pixels that may lie outside its box, since single pixels are noise
RIM = 0.04  # share of a photo's side whose mean colours continue it
SMOOTHING = 0.1  # deviation of the smoothing along an edge, of its length


def fitted(picture: np.ndarray, aspect: float) -> np.ndarray:
    """uint8 [h', w', 3] of about this aspect (width over height) from a photo uint8 [h, w, 3]."""
    height, width = picture.shape[:2]
    largest = min(width, height * aspect)  # width of the largest window within the photo
    small = np.asarray(Image.fromarray(picture).resize((min(width, SIDE), min(height, SIDE)), Image.Resampling.BOX))
    if _is_even(small):
        top, left, bottom, right = _article_box(small) * np.array([height, width] * 2)
        wide = max(CLOSEST * largest, right - left, (bottom - top) * aspect)
        high = wide / aspect
        corner = _start((left + right) / 2, wide, width), _start((top + bottom) / 2, high, height)
        return _window(picture, corner, (wide, high))
    high = largest / aspect
    window = _window(picture, ((width - largest) / 2, (height - high) / 2), (largest, high))
    shown = min(largest / width, high / height)
    return window if shown >= 1 - MOST_CROPPED else _continued(picture, aspect)


def reduced(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The photo uint8 [h, w, 3] with at most this width and height, reduced at its aspect ratio if it has more."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    if scale >= 1:
        return picture
    sides = (max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0])))
    return np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BOX))


def _is_even(picture: np.ndarray) -> bool:
    apart = np.abs(border(picture).astype(np.float64) - border_colour(picture)).max(axis=1)
    return bool((apart > EVEN).mean() <= UNEVEN_SHARE)


def _article_box(picture: np.ndarray) -> np.ndarray:
    """Top, left, bottom and right of the article and the room around it, in shares of the photo's sides."""
    mask = article(picture[None])[0]
    rows, columns = np.nonzero(mask)
    ends = []
    for places, side in ((rows, mask.shape[0]), (columns, mask.shape[1])):
        first, last = np.quantile(places, (TRIM, 1 - TRIM))
        ends.append((first / side, (last + 1) / side))
    (top, bottom), (left, right) = ends
    room = ROOM * max(bottom - top, right - left)
    return np.array([top - room, left - room, bottom + room, right + room])


def _start(centre: float, length: float, whole: int) -> float:
    """Where a window of this length around `centre` begins: within the photo if it fits, else around all of it."""
    within = sorted((0.0, whole - length))
    return float(np.clip(centre - length / 2, *within))


def _window(picture: np.ndarray, corner: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """The window of the photo at a corner (x, y) of a size (wide, high), with the border's colour outside the photo."""
    (x, y), (columns, rows) = map(round, corner), (max(1, round(side)) for side in size)
    canvas = np.empty((rows, columns, 3), np.uint8)
    canvas[:] = border_colour(picture).astype(np.uint8)
    part = picture[max(y, 0) : y + rows, max(x, 0) : x + columns]
    down, across = max(-y, 0), max(-x, 0)
    canvas[down : down + part.shape[0], across : across + part.shape[1]] = part
    return canvas


def _continued(picture: np.ndarray, aspect: float) -> np.ndarray:
    """The whole photo uint8 [h, w, 3] in the middle of a canvas of this aspect, its edges continued and smoothed."""
    height, width = picture.shape[:2]
    wide, high = max(width, round(height * aspect)), max(height, round(width / aspect))
    return _widened(_widened(picture, wide).swapaxes(0, 1), high).swapaxes(0, 1)


def _widened(picture: np.ndarray, width: int) -> np.ndarray:
    """The photo uint8 [h, w, 3] in the middle of `width` columns; those added have the mean colours of its edge."""
    left = (width - picture.shape[1]) // 2
    rim = max(1, round(RIM * picture.shape[1]))
    bars = []
    for edge, count in zip((picture[:, :rim], picture[:, -rim:]), (left, width - picture.shape[1] - left), strict=True):
        colours = ndimage.gaussian_filter1d(edge.mean(axis=1), SMOOTHING * len(edge), axis=0, mode="nearest")
        bars.append(np.broadcast_to(np.rint(colours)[:, None], (len(edge), count, 3)).astype(np.uint8))
    return np.concatenate([bars[0], picture, bars[1]], axis=1)
