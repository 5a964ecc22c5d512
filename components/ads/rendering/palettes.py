"""Colours of an ad, by palette name.

Every pair that carries text has a contrast of at least 4.5 (WCAG 2.2, 1.4.3): a property of these constants that a test
checks. Admission measures it on the pixels of each ad (inspection/).
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from components.settings.errors import UserError

Colour = tuple[int, int, int]  # red, green, blue, 0-255


@dataclass(frozen=True)
class Palette:
    """paper: behind text; ink: of text; panel: behind the image; light: the image's brightest tone; action: of the
    button; on_action: of its text."""

    paper: Colour
    ink: Colour
    panel: Colour
    light: Colour
    action: Colour
    on_action: Colour


PALETTES = {
    "mono": Palette((250, 250, 250), (24, 24, 27), (82, 82, 91), (250, 250, 250), (24, 24, 27), (255, 255, 255)),
    "warm": Palette((255, 247, 237), (67, 20, 7), (124, 45, 18), (255, 237, 213), (194, 65, 12), (255, 255, 255)),
    "cool": Palette((240, 249, 255), (8, 47, 73), (12, 74, 110), (224, 242, 254), (3, 105, 161), (255, 255, 255)),
    "pastel": Palette((253, 242, 248), (80, 30, 73), (147, 98, 150), (255, 247, 253), (157, 60, 130), (255, 255, 255)),
    "vivid": Palette((255, 251, 235), (30, 27, 75), (67, 56, 202), (254, 240, 138), (219, 39, 119), (255, 255, 255)),
}


def palette_of(name: str | None, brand_color: str | None = None) -> Palette:
    """The palette called `name` (mono for an unknown name), with a button in the brand's colour if there is one.

    brand_color: `#rrggbb`; the button's text is then black or white, whichever has more contrast.
    """
    chosen = PALETTES.get(name or "", PALETTES["mono"])
    if not brand_color or not re.fullmatch(r"#[0-9a-fA-F]{6}", brand_color):
        return chosen
    brand = tuple(int(brand_color[place : place + 2], 16) for place in (1, 3, 5))
    dark, light = (17, 17, 17), (255, 255, 255)
    return replace(chosen, action=brand, on_action=max((dark, light), key=lambda text: contrast(brand, text)))


def known_palette(name: str | None) -> str | None:
    """The name of a palette, or None; UserError lists the known ones for another name."""
    if name is not None and name not in PALETTES:
        raise UserError(f"no palette is called {name!r}; there are {', '.join(PALETTES)}")
    return name


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lower, upper = np.sort(relative_luminance(np.array([one, other], np.float64)))
    return float((upper + 0.05) / (lower + 0.05))


def relative_luminance(colours: np.ndarray) -> np.ndarray:
    """float64 [...] in [0, 1] of colours float64 [..., 3] in 0 to 255 (WCAG 2.2)."""
    linear = np.where(colours <= 10, colours / 3294.6, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
