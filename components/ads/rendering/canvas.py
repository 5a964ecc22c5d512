"""The canvas on which layouts draw an ad: images, filled shapes and fitted texts, with a record of their places."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from components.ads.rendering.ad_sizes import AdSize
from components.ads.rendering.framing import fitted, reduced
from components.ads.rendering.palettes import Colour, Palette, palette_of
from components.ads.rendering.text_fitting import Lettering, fit_text
from components.images import border_colour

SCALE = 3  # ads are drawn three times as large and averaged down, for smooth edges
FINEST = 4  # times as many pixels as its panel has are used of a photo, each way
# pixels of the ad; text that does not fit at that size is cut and ends with an ellipsis. Ideographs need more pixels
SMALLEST_TYPE, SMALLEST_IDEOGRAPHS = 9, 12

Pixels = tuple[int, int, int, int]  # left, top, right, bottom on the canvas, right and bottom excluded


@dataclass(frozen=True)
class Box:
    """A rectangle in thousandths of the ad's width and height."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Mark:
    """A drawn object: its area in pixels of the canvas; for a text also its lettering, top of its lines, and colour."""

    kind: Literal["picture", "shape", "text"]
    area: Pixels
    lettering: Lettering | None = None
    top: int = 0  # of the first line
    colour: Colour | None = None


@dataclass(frozen=True)
class Canvas:
    """The ad being drawn, SCALE times its size; marks: the objects drawn so far, in order."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    palette: Palette
    picture: np.ndarray
    marks: list[Mark] = field(default_factory=list)

    @classmethod
    def blank(cls, size: AdSize, palette: Palette, picture: np.ndarray) -> "Canvas":
        """A canvas in the palette's paper colour; picture: uint8 [h, w, 1 or 3], placed by the layout."""
        image = Image.new("RGB", (size.width * SCALE, size.height * SCALE), palette.paper)
        return cls(image, ImageDraw.Draw(image), palette, picture)

    @property
    def in_colour(self) -> bool:
        """Whether the image is a colour photo."""
        return self.picture.shape[2] == 3

    def pixels(self, box: Box) -> Pixels:
        """The box in pixels of the canvas."""
        wide, high = self.image.size
        return (box.left * wide // 1000, box.top * high // 1000, box.right * wide // 1000, box.bottom * high // 1000)

    def unit(self, thousandths: int) -> int:
        """Thousandths of the shorter side in pixels of the canvas, at least 1; the unit of type, margins and radii."""
        return max(1, min(self.image.size) * thousandths // 1000)

    def fill(self, box: Box, colour: Colour, radius: int = 0) -> None:
        """Draw a filled rectangle with corners rounded by `radius` units."""
        left, top, right, bottom = self.pixels(box)
        self.marks.append(Mark("shape", (left, top, right, bottom)))
        self.draw.rounded_rectangle((left, top, right - 1, bottom - 1), self.unit(radius) if radius else 0, colour)

    def show(self, box: Box, radius: int = 0, margin: int = 40) -> None:
        """Draw the image on a panel: a grey one in two tones, as large as the box allows; a colour photo fills it."""
        left, top, right, bottom = self.pixels(box)
        toned, ground = tone(self.picture, self.palette)
        self.fill(box, ground, radius)
        if self.in_colour:
            self._photo((left, top, right, bottom), self.unit(radius) if radius else 0)
            return
        inset = self.unit(margin)
        room = (max(1, right - left - 2 * inset), max(1, bottom - top - 2 * inset))
        scale = min(room[0] / toned.width, room[1] / toned.height)
        wide, high = max(1, int(toned.width * scale)), max(1, int(toned.height * scale))
        enlarged = toned.resize((wide, high), Image.Resampling.BICUBIC)
        across, down = (left + right - wide) // 2, (top + bottom - high) // 2
        self.marks.append(Mark("picture", (across, down, across + wide, down + high)))
        self.image.paste(enlarged, (across, down))

    def _photo(self, area: Pixels, radius: int) -> None:
        """Draw the colour photo in `area`, with corners rounded by `radius` pixels."""
        left, top, right, bottom = area
        size = (max(1, right - left), max(1, bottom - top))
        picture = fitted(reduced(self.picture, FINEST * size[0], FINEST * size[1]), size[0] / size[1])
        photo = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
        shape = Image.new("L", size, 0)
        ImageDraw.Draw(shape).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, 255)
        self.marks.append(Mark("picture", area))
        self.image.paste(photo, (left, top), shape)

    def write(
        self, box: Box, text: str, colour: Colour, largest: int, *, lines: int = 3, centred: bool = False
    ) -> None:
        """Draw text in the box, centred vertically; right-to-left text begins at the right."""
        left, top, right, bottom = self.pixels(box)
        smallest = max(smallest_type(text) * SCALE, self.unit(44))
        sizes = max(self.unit(largest), smallest), smallest
        set_text = fit_text(text, right - left, bottom - top, *sizes, most_lines=lines)
        start = top + max(0, (bottom - top - set_text.height) // 2)
        if set_text.lines:
            self.marks.append(Mark("text", (left, top, right, bottom), set_text, start, colour))
        for row, line in enumerate(set_text.lines):
            spare = right - left - set_text.line_width(line)
            across = left + (spare / 2 if centred else spare if set_text.right_to_left else 0)
            self._letter((across, start + row * set_text.line_height), line, set_text, colour)

    def ground(self, box: Box) -> None:
        """Continue a grey image's background in `box`, so that it has no frame; a colour photo has its own panel."""
        if not self.in_colour:
            self.fill(box, tone(self.picture, self.palette)[1])

    def button(self, box: Box, text: str, radius: int = 28, largest: int = 60, inset: int = 15) -> None:
        """Draw the call to action on a button, `inset` thousandths of the width from its sides."""
        if text.strip():
            self.fill(box, self.palette.action, radius)
            inner = Box(box.left + inset, box.top + 8, box.right - inset, box.bottom - 8)
            self.write(inner, text, self.palette.on_action, largest, lines=2, centred=True)

    def disc(self, box: Box, inner: Box, text: str, largest: int = 64) -> None:
        """Draw the call to action on the largest disc in the middle of `box`, within the part `inner` of the box."""
        if text.strip():
            left, top, right, bottom = self.pixels(box)
            across, down = right - left, bottom - top
            diameter = min(across, down)
            place = left + (across - diameter) // 2, top + (down - diameter) // 2
            disc = (*place, place[0] + diameter, place[1] + diameter)
            self.marks.append(Mark("shape", (*place, disc[2] + 1, disc[3] + 1)))  # Pillow's ellipses include both ends
            self.draw.ellipse(disc, self.palette.action)
            inner = _shrunk(inner, diameter / across, diameter / down)
            self.write(inner, text, self.palette.on_action, largest, lines=2, centred=True)

    def tag(self, box: Box, inner: Box, text: str, largest: int = 64) -> None:
        """Draw the call to action within `inner`, on a price tag that points to the left and fills `box`."""
        if not text.strip():
            return
        left, top, right, bottom = self.pixels(box)
        notch = (bottom - top) // 2
        tag = [(left, top + notch), (left + notch, top), (right, top), (right, bottom), (left + notch, bottom)]
        self.marks.append(Mark("shape", (left, top, right, bottom)))
        self.draw.polygon(tag, self.palette.action)
        hole, across, down = notch // 8, left + notch, top + notch
        self.draw.ellipse((across - hole, down - hole, across + hole, down + hole), self.palette.paper)
        self.write(inner, text, self.palette.on_action, largest, lines=2, centred=True)

    def _letter(self, place: tuple[float, float], line: str, lettering: Lettering, colour: Colour) -> None:
        # the font's top bearing is larger than its descent, so text is moved up by a tenth of its size
        above = place[1] - lettering.size * 0.1
        lettering.draw(self.draw, (place[0], above), line, colour, stroke=0.4 * SCALE / 3)


def smallest_type(text: str) -> int:
    """The smallest size of type for a text, in pixels of the ad."""
    return SMALLEST_IDEOGRAPHS if re.search("[\u2e80-\u9fff\uf900-\ufaff]", text) else SMALLEST_TYPE


class DryCanvas(Canvas):
    """A canvas that draws nothing and only records its marks, to know whether texts fit."""

    @classmethod
    def of(cls, size: AdSize, in_colour: bool) -> "DryCanvas":
        """A canvas for an ad of this size, with a grey or a colour photo."""
        picture = np.zeros((1, 1, 3 if in_colour else 1), np.uint8)
        nowhere = SimpleNamespace(size=(size.width * SCALE, size.height * SCALE))
        return cls(nowhere, _NoPen(), palette_of(None), picture)

    def show(self, box: Box, radius: int = 0, margin: int = 40) -> None:
        """Record the image's place."""
        self.marks.append(Mark("picture", self.pixels(box)))


class _NoPen:
    """A pen whose strokes leave nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_given, **_options: None


def _shrunk(box: Box, across: float, down: float) -> Box:
    """The box reduced by these factors around its middle."""
    narrower = int((1 - across) * (box.right - box.left) / 2)
    lower = int((1 - down) * (box.bottom - box.top) / 2)
    return Box(box.left + narrower, box.top + lower, box.right - narrower, box.bottom - lower)


def tone(picture: np.ndarray, palette: Palette) -> tuple[Image.Image, Colour]:
    """A grey image uint8 [h, w, c] in the palette's two tones, and its background's colour; colours are not changed.

    A black background becomes the panel's colour and a white one the light tone, so that no frame is visible.
    """
    colour = border_colour(picture)
    if picture.shape[2] == 3:
        return Image.fromarray(picture), tuple(int(value) for value in colour)
    dark, light = np.array(palette.panel, np.float64), np.array(palette.light, np.float64)
    share = picture.astype(np.float64) / 255.0  # (h, w, 1)
    toned = np.rint(dark + share * (light - dark)).astype(np.uint8)
    ground = dark + colour[0] / 255.0 * (light - dark)
    return Image.fromarray(toned), tuple(int(value) for value in np.rint(ground))
