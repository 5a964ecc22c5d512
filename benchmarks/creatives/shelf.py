"""Photos for the generator benchmarks: the training and test splits of Fashion-MNIST, with unknown segments."""

import numpy as np

from components.datasets.fashion_mnist import load_photos
from components.generators.photos.training_photos import Photos
from components.simulator.assortments import FASHION


def shelf(categories: tuple[str, ...] = FASHION.categories) -> tuple[Photos, Photos]:
    """(60,000 training photos, 10,000 test photos), uint8 [n, 28, 28, 1]; codes are indices of `categories`."""
    loaded = load_photos()
    code_of = np.array([categories.index(name) for name in FASHION.categories], dtype=np.int32)

    def split(code: int) -> Photos:
        rows = loaded.split == code
        unknown = np.ones((int(rows.sum()), 1), np.float32)
        return Photos(loaded.pictures[rows][..., None], code_of[loaded.category[rows]], categories, unknown)

    return split(0), split(1)
