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
from components.ads.rendering.text_fitting import Lettering, fit_text, measure, printable
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
    """A drawn object: its area in pixels of the canvas; for a text also how it is set."""

    kind: Literal["picture", "shape", "text"]
    area: Pixels
    lettering: Lettering | None = None
    top: int = 0  # of the first line
    colour: Colour | None = None
    centred: bool = False
    text: str = ""  # as it was given

    def letter(self, pen: ImageDraw.ImageDraw, fill: Colour | int, corner: tuple[int, int] = (0, 0)) -> None:
        """Draw the lines of a text; corner: the pixel of the canvas where the image of `pen` begins."""
        if self.lettering is None:
            return
        for row, line in enumerate(self.lettering.lines):
            spare = self.area[2] - self.area[0] - self.lettering.line_width(line)
            across = self.area[0] + (spare / 2 if self.centred else spare if self.lettering.right_to_left else 0)
            # the font's top bearing is larger than its descent, so text is moved up by a tenth of its size
            above = self.top + row * self.lettering.line_height - self.lettering.size * 0.1
            self.lettering.draw(pen, (across - corner[0], above - corner[1]), line, fill, stroke=0.4 * SCALE / 3)


@dataclass(frozen=True)
class Canvas:
    """The ad being drawn, SCALE times its size; marks: the objects drawn so far, in order.

    frame: width and height of the part that the design fills; None: all. The rest is for what an ad must say.
    """

    image: Image.Image
    draw: ImageDraw.ImageDraw
    palette: Palette
    picture: np.ndarray
    marks: list[Mark] = field(default_factory=list)
    frame: tuple[int, int] | None = None

    @classmethod
    def blank(
        cls, size: AdSize, palette: Palette, picture: np.ndarray, frame: tuple[int, int] | None = None
    ) -> "Canvas":
        """A canvas in the palette's paper colour; picture: uint8 [h, w, 1 or 3], placed by the layout."""
        image = Image.new("RGB", (size.width * SCALE, size.height * SCALE), palette.paper)
        return cls(image, ImageDraw.Draw(image), palette, picture, frame=frame)

    @property
    def room(self) -> tuple[int, int]:
        """Width and height in pixels of the part, from the top left corner, that the design fills."""
        return self.frame or self.image.size

    @property
    def in_colour(self) -> bool:
        """Whether the image is a colour photo."""
        return self.picture.shape[2] == 3

    def pixels(self, box: Box) -> Pixels:
        """The box in pixels of the canvas."""
        wide, high = self.room
        return (box.left * wide // 1000, box.top * high // 1000, box.right * wide // 1000, box.bottom * high // 1000)

    def unit(self, thousandths: int) -> int:
        """Thousandths of the shorter side in pixels of the canvas, at least 1; the unit of type, margins and radii."""
        return max(1, min(self.room) * thousandths // 1000)

    def fill(self, box: Box, colour: Colour, radius: int = 0) -> None:
        """Draw a filled rectangle with corners rounded by `radius` units."""
        left, top, right, bottom = self.pixels(box)
        self.marks.append(Mark("shape", (left, top, right, bottom)))
        self.draw.rounded_rectangle((left, top, right - 1, bottom - 1), self.unit(radius) if radius else 0, colour)

    def show(self, box: Box, radius: int = 0, margin: int = 40) -> None:
        """Draw the image on a panel: a grey one in two tones, as large as the box allows; a colour photo fills it."""
        left, top, right, bottom = self.pixels(box)
        self.fill(box, ground_colour(self.picture, self.palette), radius)
        if self.in_colour:
            self._photo((left, top, right, bottom), self.unit(radius) if radius else 0)
            return
        inset = self.unit(margin)
        room = (max(1, right - left - 2 * inset), max(1, bottom - top - 2 * inset))
        scale = min(room[0] / self.picture.shape[1], room[1] / self.picture.shape[0])
        wide, high = (max(1, int(side * scale)) for side in (self.picture.shape[1], self.picture.shape[0]))
        across, down = (left + right - wide) // 2, (top + bottom - high) // 2
        self.marks.append(Mark("picture", (across, down, across + wide, down + high)))
        self.image.paste(panel_photo(self.picture, self.palette, (wide, high)), (across, down))

    def _photo(self, area: Pixels, radius: int) -> None:
        """Draw the colour photo in `area`, with corners rounded by `radius` pixels."""
        left, top, right, bottom = area
        size = (max(1, right - left), max(1, bottom - top))
        photo = panel_photo(self.picture, self.palette, size)
        shape = Image.new("L", size, 0)
        ImageDraw.Draw(shape).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, 255)
        self.marks.append(Mark("picture", area))
        self.image.paste(photo, (left, top), shape)

    def write(
        self, box: Box, text: str, colour: Colour, largest: int, *, lines: int = 3, centred: bool = False
    ) -> None:
        """Draw text in the box, centred vertically; right-to-left text begins at the right."""
        smallest = max(smallest_type(text) * SCALE, self.unit(44))
        sizes = max(self.unit(largest), smallest), smallest
        self.letter(self.pixels(box), text, colour, sizes, lines=lines, centred=centred)

    def letter(
        self, area: Pixels, text: str, colour: Colour, sizes: tuple[int, int], *, lines: int, centred: bool = False
    ) -> None:
        """Draw text as `write` does, in pixels of the canvas; sizes: the largest and the smallest of type."""
        left, top, right, bottom = area
        set_text = fit_text(text, right - left, bottom - top, *sizes, most_lines=lines)
        start = top + max(0, (bottom - top - set_text.height) // 2)
        if set_text.lines:
            mark = Mark("text", area, set_text, start, colour, centred, text)
            self.marks.append(mark)
            mark.letter(self.draw, colour)

    def ground(self, box: Box) -> None:
        """Continue a grey image's background in `box`, so that it has no frame; a colour photo has its own panel."""
        if not self.in_colour:
            self.fill(box, ground_colour(self.picture, self.palette))

    def button(self, box: Box, text: str, radius: int = 28, largest: int = 60, inset: int = 15) -> None:
        """Draw the call to action on a button, `inset` thousandths of the width from its sides."""
        if text.strip():
            self.fill(box, self.palette.action, radius)
            inner = Box(box.left + inset, box.top + 8, box.right - inset, box.bottom - 8)
            lines = 1 if self.frame and self._fits_a_line(inner, text) else 2
            self.write(inner, text, self.palette.on_action, largest, lines=lines, centred=True)

    def _fits_a_line(self, box: Box, text: str) -> bool:
        """Whether ideographs fit in one line, which reads better than larger ones in two; only beside marks,
        since the others are drawn as ever."""
        left, _, right, _ = self.pixels(box)
        smallest = max(SMALLEST_IDEOGRAPHS * SCALE, self.unit(44))
        return smallest_type(text) == SMALLEST_IDEOGRAPHS and measure(printable(text), smallest) <= right - left

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
        self.marks.append(Mark("shape", (left, top, right + 1, bottom + 1)))  # as for ellipses
        self.draw.polygon(tag, self.palette.action)
        hole, across, down = notch // 8, left + notch, top + notch
        self.draw.ellipse((across - hole, down - hole, across + hole, down + hole), self.palette.paper)
        self.write(inner, text, self.palette.on_action, largest, lines=2, centred=True)


def smallest_type(text: str) -> int:
    """The smallest size of type for a text, in pixels of the ad."""
    return SMALLEST_IDEOGRAPHS if re.search("[\u2e80-\u9fff\uf900-\ufaff]", text) else SMALLEST_TYPE


class DryCanvas(Canvas):
    """A canvas that draws nothing and only records its marks, to know whether texts fit."""

    @classmethod
    def of(cls, size: AdSize, in_colour: bool, frame: tuple[int, int] | None = None) -> "DryCanvas":
        """A canvas for an ad of this size, with a grey or a colour photo; frame: as in Canvas."""
        picture = np.zeros((1, 1, 3 if in_colour else 1), np.uint8)
        nowhere = SimpleNamespace(size=(size.width * SCALE, size.height * SCALE))
        return cls(nowhere, _NoPen(), palette_of(None), picture, frame=frame)

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


def panel_photo(picture: np.ndarray, palette: Palette, size: tuple[int, int]) -> Image.Image:
    """The image uint8 [h, w, 1 or 3] as it fills a panel of `size` pixels (width, height) of the canvas.

    A colour photo is framed and scaled, otherwise unchanged. A grey one is scaled, in the palette's two tones.
    """
    if picture.shape[2] == 3:
        framed = fitted(reduced(picture, FINEST * size[0], FINEST * size[1]), size[0] / size[1])
        return Image.fromarray(framed).resize(size, Image.Resampling.BICUBIC)
    dark, light = np.array(palette.panel, np.float64), np.array(palette.light, np.float64)
    share = picture.astype(np.float64) / 255.0  # (h, w, 1)
    toned = np.rint(dark + share * (light - dark)).astype(np.uint8)
    return Image.fromarray(toned).resize(size, Image.Resampling.BICUBIC)


def ground_colour(picture: np.ndarray, palette: Palette) -> Colour:
    """The background's colour of an image uint8 [h, w, 1 or 3]; of a grey one in the palette's two tones.

    A black background becomes the panel's colour and a white one the light tone, so that no frame is visible.
    """
    colour = border_colour(picture)
    if picture.shape[2] == 3:
        return tuple(int(value) for value in colour)
    dark, light = np.array(palette.panel, np.float64), np.array(palette.light, np.float64)
    return tuple(int(value) for value in np.rint(dark + colour[0] / 255.0 * (light - dark)))
