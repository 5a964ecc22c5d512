"""Photos in panels of ads: the article stays whole, scenes fill the panel, and nothing is cropped beyond the limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ads.rendering.ad_sizes import AD_SIZES
from components.ads.rendering.canvas import FINEST, SCALE
from components.ads.rendering.compose import compose
from components.ads.rendering.designs import Parts, designs
from components.ads.rendering.framing import MOST_CROPPED, fitted, reduced

GROUND, ARTICLE = (240, 238, 235), (30, 60, 140)


def studio(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """An even ground with an article in top, left, bottom, right."""
    picture = np.full((height, width, 3), GROUND, np.uint8)
    picture[box[0] : box[2], box[1] : box[3]] = ARTICLE
    return picture


def scene(height: int, width: int) -> np.ndarray:
    """Noise, in which every pixel differs from every other of its row and column."""
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def is_article(picture: np.ndarray) -> np.ndarray:
    return (picture == ARTICLE).all(axis=2)


@pytest.mark.parametrize("aspect", [0.3, 1.0, 1.9, 4.0])
@pytest.mark.parametrize("box", [(20, 10, 120, 90), (300, 500, 380, 590), (100, 20, 300, 580), (40, 250, 390, 330)])
def test_an_article_on_an_even_ground_is_shown_whole_and_large(box, aspect):
    picture = studio(400, 600, box)
    framed = fitted(picture, aspect)
    assert framed.shape[1] / framed.shape[0] == pytest.approx(aspect, rel=0.02)
    assert is_article(framed).sum() == is_article(picture).sum(), "the article is cut"
    assert set(np.unique(framed.reshape(-1, 3), axis=0).flat) <= {*GROUND, *ARTICLE}
    assert framed.shape[1] <= max(600, 400 * aspect) * 1.5, "the article is lost in its ground"


def test_a_small_article_is_brought_closer():
    picture = studio(400, 600, (180, 280, 220, 320))
    framed = fitted(picture, 1.5)
    assert framed.shape[:2] == (200, 300), "half of the largest window"
    rows, columns = np.nonzero(is_article(framed))
    assert abs(rows.mean() - 100) < 8 and abs(columns.mean() - 150) < 8


@pytest.mark.parametrize(("aspect", "rows", "columns"), [(2.0, (50, 350), (0, 600)), (1.0, (0, 400), (100, 500))])
def test_a_scene_fills_its_panel_from_the_middle(aspect, rows, columns):
    picture = scene(400, 600)
    assert np.array_equal(fitted(picture, aspect), picture[slice(*rows), slice(*columns)])


@pytest.mark.parametrize("aspect", [0.5, 4.0])
def test_a_scene_that_would_lose_too_much_is_shown_whole_and_its_edges_continued(aspect):
    picture = scene(400, 600)
    framed = fitted(picture, aspect)
    assert framed.shape[1] / framed.shape[0] == pytest.approx(aspect, rel=0.02)
    top, left = (framed.shape[0] - 400) // 2, (framed.shape[1] - 600) // 2
    assert np.array_equal(framed[top : top + 400, left : left + 600], picture)
    around = framed[:top] if top else framed[:, :left]
    assert around.size and np.abs(np.diff(around.astype(int), axis=1)).max() < 20, "what is around is smooth"


@given(st.integers(1, 90), st.integers(1, 90), st.floats(0.1, 10), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_photo_fits_any_panel(height, width, aspect, even):
    box = height // 3, width // 3, height // 2, width // 2
    picture = studio(height, width, box) if even else scene(height, width)
    framed = fitted(picture, aspect)
    assert framed.dtype == np.uint8 and framed.ndim == 3 and framed.shape[2] == 3
    rows, columns = framed.shape[:2]
    # of whole pixels: each side is right within one
    assert (columns - 1) / (rows + 1) <= aspect * 1.02 and (columns + 1) / max(rows - 1, 0.01) >= aspect * 0.98
    if not even and min(height, width) > 4:
        kept = min(rows / height, columns / width)
        assert kept >= 1 - MOST_CROPPED - 1 / min(height, width)


@pytest.mark.parametrize("sides", [(1, 20_000), (20_000, 1), (2, 20_000), (5_000, 3)])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("size", [size for size in AD_SIZES.values() if max(size.width, size.height) < 1000])
def test_a_thin_photo_takes_no_more_memory_than_its_panel_needs(size, even, sides, monkeypatch):
    made = []
    monkeypatch.setattr(
        "components.ads.rendering.canvas.fitted", lambda *given: made.append(fitted(*given)) or made[-1]
    )
    picture = np.full((*sides, 3), GROUND, np.uint8)
    if not even:
        picture.reshape(-1, 3)[: picture.size // 6] = ARTICLE  # one half
    for template in designs():
        assert compose(picture, Parts("Shop", "Go"), None, template, size=size).shape == (size.height, size.width, 3)
    assert len(made) == len(designs())
    panel = SCALE**2 * size.width * size.height
    assert max(framed.size / 3 for framed in made) < 2 * FINEST**2 * panel
    assert np.ptp(made[0]) > 0 or even


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_only_a_photo_larger_than_asked_is_reduced(height, width, most_wide, most_high):
    picture = scene(height, width)
    smaller = reduced(picture, most_wide, most_high)
    assert smaller.shape[0] <= most_high and smaller.shape[1] <= most_wide
    assert (smaller is picture) == (height <= most_high and width <= most_wide)
    scale = min(1, most_wide / width, most_high / height)
    assert smaller.shape[:2] == (max(1, round(scale * height)), max(1, round(scale * width)))


def test_a_photo_of_one_pixel_fills_the_panel_with_its_colour():
    framed = fitted(np.full((1, 1, 3), 77, np.uint8), 1.6)
    assert (framed == 77).all()
