"""Compose an ad of an image and texts in the design of its template; equal arguments give equal pixels."""

import numpy as np
from PIL import Image

from components.ads.rendering.ad_marks import frame_for
from components.ads.rendering.ad_sizes import MEDIUM_RECTANGLE, AdSize
from components.ads.rendering.canvas import Canvas
from components.ads.rendering.designs import Design, Parts, draw_ad
from components.ads.rendering.palettes import palette_of


def compose(
    picture: np.ndarray,
    parts: Parts,
    palette: str | None,
    template: str | None,
    *,
    size: AdSize = MEDIUM_RECTANGLE,
    brand_color: str | None = None,
) -> np.ndarray:
    """The ad uint8 [height, width, 3] with the image uint8 [h, w, 1 or 3] and these texts.

    Unknown templates and palettes are drawn as `plain` and `mono`; the place of a missing text stays empty.
    """
    canvas = lay_out(picture, parts, palette, template, size=size, brand_color=brand_color)
    return pixels_of(canvas, size)


def pixels_of(canvas: Canvas, size: AdSize) -> np.ndarray:
    """The canvas of an ad reduced to its size: uint8 [height, width, 3]."""
    return np.asarray(canvas.image.resize((size.width, size.height), Image.Resampling.BOX))


def lay_out(
    picture: np.ndarray,
    parts: Parts,
    palette: str | None,
    template: str | Design | None,
    *,
    size: AdSize,
    brand_color: str | None = None,
) -> Canvas:
    """The canvas of the ad, before it is reduced to its size; its marks say where everything is."""
    canvas = Canvas.blank(size, palette_of(palette, brand_color), picture, frame_for(size, parts.marks))
    draw_ad(canvas, parts, template, size)
    return canvas
