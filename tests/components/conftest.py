import numpy as np
import pytest

from components.generators.photos.training_photos import Photos


@pytest.fixture(scope="session")
def photos():
    """240 grey 12x12 photos: category 0 is a bright upper half, 1 a bright left half, 2 a bright disc; some noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:12, :12]
    shapes = np.stack([rows < 6, columns < 6, (rows - 5.5) ** 2 + (columns - 5.5) ** 2 < 16]).astype(float)
    category = np.arange(240, dtype=np.int32) % 3
    light = random.uniform(120, 220, (240, 1, 1))
    pictures = np.clip(shapes[category] * light + random.normal(0, 8, (240, 12, 12)), 0, 255).astype(np.uint8)
    weights = np.zeros((240, 3), np.float32)
    weights[np.arange(240), np.where(light[:, 0, 0] > 170, 0, 1)] = 1.0
    weights[::4] = (0, 0, 1)
    return Photos(pictures[..., None], category, ("top", "left", "disc"), weights)
