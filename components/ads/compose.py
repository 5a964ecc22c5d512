"""Picture, headline and call to action -> an ad, in one of five templates. Two equal calls give equal pixels."""

import numpy as np
from PIL import Image

from components.ads.ad_sizes import MEDIUM_RECTANGLE, AdSize
from components.ads.canvas import Canvas
from components.ads.layouts import DEFAULT, LAYOUTS
from components.ads.palettes import palette_of


def compose(
    picture: np.ndarray,
    headline: str | None,
    call_to_action: str | None,
    palette: str | None,
    template: str | None,
    size: AdSize = MEDIUM_RECTANGLE,
    brand_color: str | None = None,
) -> np.ndarray:
    """uint8 [h, w, 1 or 3] and texts -> the ad, uint8 [height, width, 3].

    Unknown templates and palettes are drawn as `plain` and `mono`; a missing text leaves its place empty.
    """
    canvas = Canvas.blank(size, palette_of(palette, brand_color), picture)
    lay_out(canvas, template, headline, call_to_action, size)
    return np.asarray(canvas.image.resize((size.width, size.height), Image.Resampling.BOX))


def lay_out(
    canvas: Canvas, template: str | None, headline: str | None, call_to_action: str | None, size: AdSize
) -> None:
    """Draw a template on a canvas of this size; its marks then say where everything is."""
    layouts = LAYOUTS[size.aspect]
    layouts.get(template or "", layouts[DEFAULT])(canvas, headline or "", call_to_action or "")
