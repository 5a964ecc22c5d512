"""Segment the article of a product photo from a plain, shaded or vignetted background.

The background is fitted to the image's border as a quadratic surface per channel, by iteratively reweighted least
squares (Holland & Welsch 1977), so that an article at the border changes it little. Pixels that differ from the surface
by more than the border's noise, and by a third of the strongest differences, are the article; its holes are filled.
"""

import numpy as np
from scipy import ndimage

ROUNDS = 4  # of reweighting
NOISE, LEAST, MOST = 3.0, 8.0, 40.0  # threshold: deviations of the border's noise, with bounds in grey levels
RELATIVE = 1 / 3  # of the strongest difference, below which shading and soft shadows lie
SMALLEST = 0.005  # share of the image; a smaller mask is noise
BLOCK = 500  # pictures at once: some tens of megabytes
IN_PLANE = np.stack([np.zeros((3, 3)), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3))]).astype(bool)


def article(pictures: np.ndarray) -> np.ndarray:
    """bool [n, h, w], the article's pixels in images uint8 [n, h, w, c]; the middle if no article is found."""
    masks = np.empty(pictures.shape[:3], dtype=bool)
    for start in range(0, len(pictures), BLOCK):
        masks[start : start + BLOCK] = _masks(pictures[start : start + BLOCK].astype(np.float64))
    return masks


def _masks(pictures: np.ndarray) -> np.ndarray:
    """float64 [n, h, w, c] -> bool [n, h, w]."""
    count, height, width, channels = pictures.shape
    terms, edge = _terms(height, width), _border(height, width)  # [h * w, 6], [h * w]
    flat = pictures.reshape(count, -1, channels)
    surface, noise = _ground(terms[edge], flat[:, edge])
    apart = np.abs(flat - terms @ surface).max(axis=2)  # [n, h * w]
    strongest = np.quantile(apart, 0.95, axis=1)
    limit = np.maximum(np.clip(NOISE * noise, LEAST, MOST), RELATIVE * strongest)
    masks = (apart > limit[:, None]).reshape(count, height, width)
    masks = ndimage.binary_fill_holes(masks, IN_PLANE)
    masks[masks.mean(axis=(1, 2)) < SMALLEST] = _middle(height, width)
    return masks


def _ground(terms: np.ndarray, border: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """terms [b, 6], border [n, b, c] -> (coefficients [n, 6, c], the border's noise in grey levels [n])."""
    corners = np.abs(terms[:, 1]) + np.abs(terms[:, 2]) > 1.5  # articles are rarely in corners
    weights = np.broadcast_to(np.where(corners, 1.0, 0.3), border.shape[:2])
    steady = np.diag([0.0, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2]) * len(
        terms
    )  # regularisation, for borders that are partly covered
    for _ in range(ROUNDS):
        weighted = weights[:, None, :] * terms.T  # [n, 6, b]
        surface = np.linalg.solve(weighted @ terms + steady, weighted @ border)
        apart = np.abs(border - terms @ surface).max(axis=2)
        noise = 1.4826 * np.median(apart, axis=1) + 0.5
        weights = np.maximum(1 - (apart / (5.0 * noise[:, None])) ** 2, 1e-3) ** 2  # Tukey's
    return surface, noise


def _terms(height: int, width: int) -> np.ndarray:
    """[h * w, 6]: 1, x, y, x y, x^2, y^2 of each pixel, x and y from -1 to 1."""
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"))
    return np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=1)


def _border(height: int, width: int) -> np.ndarray:
    """bool [h * w]: the border, two pixels wide, or one in small images."""
    wide = 2 if min(height, width) >= 16 else 1
    inside = np.zeros((height, width), dtype=bool)
    inside[wide:-wide, wide:-wide] = True
    return ~inside.ravel()


def _middle(height: int, width: int) -> np.ndarray:
    middle = np.zeros((height, width), dtype=bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return middle
