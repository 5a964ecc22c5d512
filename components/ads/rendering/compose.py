"""Compose an ad of image, headline and call to action in one of five templates; equal arguments give equal pixels."""

import numpy as np
from PIL import Image

from components.ads.rendering.ad_sizes import MEDIUM_RECTANGLE, AdSize
from components.ads.rendering.canvas import Canvas
from components.ads.rendering.layouts import DEFAULT, LAYOUTS
from components.ads.rendering.palettes import palette_of


def compose(
    picture: np.ndarray,
    headline: str | None,
    call_to_action: str | None,
    palette: str | None,
    template: str | None,
    *,
    size: AdSize = MEDIUM_RECTANGLE,
    brand_color: str | None = None,
) -> np.ndarray:
    """The ad uint8 [height, width, 3] with the image uint8 [h, w, 1 or 3] and these texts.

    Unknown templates and palettes are drawn as `plain` and `mono`; the place of a missing text stays empty.
    """
    canvas = Canvas.blank(size, palette_of(palette, brand_color), picture)
    lay_out(canvas, template, headline, call_to_action, size)
    return np.asarray(canvas.image.resize((size.width, size.height), Image.Resampling.BOX))


def lay_out(
    canvas: Canvas, template: str | None, headline: str | None, call_to_action: str | None, size: AdSize
) -> None:
    """Draw a template on a canvas of this size; the canvas records the places in its marks."""
    layouts = LAYOUTS[size.aspect]
    layouts.get(template or "", layouts[DEFAULT])(canvas, headline or "", call_to_action or "")
