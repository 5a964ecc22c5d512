"""Which made pictures may become ads: none that repeats another, copies a photo, or looks like no photo at all."""

import numpy as np

from components.generators.quality.photo_manifold import Manifold


def admit(pictures: np.ndarray, manifold: Manifold, duplicate_fraction: float) -> np.ndarray:
    """uint8 [n, h, w, c] -> str [n]: empty for a picture that may be shown, else why not.

    Earlier pictures win over later duplicates, which are nearer than `duplicate_fraction` of the gap between photos.
    """
    reasons = np.full(len(pictures), "", dtype=object)
    if not len(pictures):
        return reasons
    reasons[manifold.excess(pictures) > 0] = "looks like no product photo"
    reasons[manifold.copies(pictures)] = "copies a product photo"
    standing = np.flatnonzero(reasons == "")
    reasons[standing[manifold.repeats(pictures[standing], duplicate_fraction)]] = "repeats another made picture"
    return reasons
