"""Draws a grid of generated images, one row per category, as a PNG for the documentation."""

from pathlib import Path

import numpy as np
from PIL import Image

COLUMNS, SCALE = 16, 2


def write_grid(generator, path: Path) -> None:
    """Write a row of COLUMNS images per category of `generator` to the PNG file `path`."""
    count = len(generator.categories)
    category = np.repeat(np.arange(count), COLUMNS)
    pictures = generator.sample(category, np.full(len(category), generator.segments), seed=0)
    save_rows(pictures.reshape(count, COLUMNS, *generator.shape), path)


def save_rows(pictures: np.ndarray, path: Path) -> None:
    """Write images uint8 [rows, columns, h, w, c], enlarged by SCALE, to the PNG file `path`."""
    rows, columns, height, width, channels = pictures.shape
    sheet = pictures.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    image = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.BICUBIC).save(path, optimize=True)
