"""The layouts of ads by aspect and template: one line adds an aspect, which must have every template.

A layout draws image, headline and call to action; the place of an empty text stays empty.
"""

from collections.abc import Callable, Mapping

from components.ads.rendering.ad_sizes import Aspect
from components.ads.rendering.canvas import Canvas
from components.ads.rendering.layouts import near_square, tall, wide

Layout = Callable[[Canvas, str, str], None]

LAYOUTS: Mapping[Aspect, Mapping[str, Layout]] = {
    "near square": near_square.LAYOUTS,
    "wide": wide.LAYOUTS,
    "tall": tall.LAYOUTS,
}
TEMPLATES = tuple(near_square.LAYOUTS)
DEFAULT = "plain"  # for unknown templates
