"""The templates of ads, laid out for each class of shapes: a line adds a class, and each class has every template.

A layout draws picture, headline and call to action; an empty text leaves its place empty.
"""

from collections.abc import Callable, Mapping

from components.ads.ad_sizes import Aspect
from components.ads.canvas import Canvas
from components.ads.layouts import near_square, tall, wide

Layout = Callable[[Canvas, str, str], None]

LAYOUTS: Mapping[Aspect, Mapping[str, Layout]] = {
    "near square": near_square.LAYOUTS,
    "wide": wide.LAYOUTS,
    "tall": tall.LAYOUTS,
}
TEMPLATES = tuple(near_square.LAYOUTS)
DEFAULT = "plain"  # for templates that are not known
