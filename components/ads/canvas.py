"""What layouts draw an ad with: pictures, filled shapes and fitted texts, and a record of where each of them is."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from components.ads.ad_sizes import AdSize
from components.ads.palettes import Colour, Palette
from components.ads.text_fitting import Lettering, fit_text

SCALE = 3  # drawn three times as large and averaged down: smooth edges
SMALLEST_TYPE = 9  # pixels of the ad; what does not fit at that size is cut and ends with an ellipsis

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
    """Something drawn: where, in pixels of the canvas; of a text also its lettering and where its lines begin."""

    kind: Literal["picture", "shape", "text"]
    area: Pixels
    lettering: Lettering | None = None
    top: int = 0  # of the first line


@dataclass(frozen=True)
class Canvas:
    """The ad being drawn, `SCALE` times its size; marks: what was drawn so far, in that order."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    palette: Palette
    picture: np.ndarray
    marks: list[Mark] = field(default_factory=list)

    @classmethod
    def blank(cls, size: AdSize, palette: Palette, picture: np.ndarray) -> "Canvas":
        """A canvas in the palette's paper; picture: uint8 [h, w, 1 or 3], shown where a layout says."""
        image = Image.new("RGB", (size.width * SCALE, size.height * SCALE), palette.paper)
        return cls(image, ImageDraw.Draw(image), palette, picture)

    def pixels(self, box: Box) -> Pixels:
        """A box in pixels of the canvas."""
        wide, high = self.image.size
        return (box.left * wide // 1000, box.top * high // 1000, box.right * wide // 1000, box.bottom * high // 1000)

    def unit(self, thousandths: int) -> int:
        """Thousandths of the shorter side in pixels of the canvas, at least 1: type, margins and radii are of it."""
        return max(1, min(self.image.size) * thousandths // 1000)

    def fill(self, box: Box, colour: Colour, radius: int = 0) -> None:
        """A rectangle, its corners rounded by `radius` units."""
        left, top, right, bottom = self.pixels(box)
        self.marks.append(Mark("shape", (left, top, right, bottom)))
        self.draw.rounded_rectangle((left, top, right - 1, bottom - 1), self.unit(radius) if radius else 0, colour)

    def show(self, box: Box, radius: int = 0, margin: int = 40) -> None:
        """The picture in its two tones on a panel, as large as the box allows."""
        left, top, right, bottom = self.pixels(box)
        toned, ground = tone(self.picture, self.palette)
        self.fill(box, ground, radius)
        inset = self.unit(margin)
        room = (max(1, right - left - 2 * inset), max(1, bottom - top - 2 * inset))
        scale = min(room[0] / toned.width, room[1] / toned.height)
        wide, high = max(1, int(toned.width * scale)), max(1, int(toned.height * scale))
        enlarged = toned.resize((wide, high), Image.Resampling.BICUBIC)
        across, down = (left + right - wide) // 2, (top + bottom - high) // 2
        self.marks.append(Mark("picture", (across, down, across + wide, down + high)))
        self.image.paste(enlarged, (across, down))

    def write(self, box: Box, text: str, colour: Colour, largest: int, lines: int = 3, centred: bool = False) -> None:
        """Text in the box, centred from top to bottom; what is read from the right begins at the right."""
        left, top, right, bottom = self.pixels(box)
        smallest = max(SMALLEST_TYPE * SCALE, self.unit(44))
        set_text = fit_text(text, right - left, bottom - top, max(self.unit(largest), smallest), smallest, lines)
        start = top + max(0, (bottom - top - set_text.height) // 2)
        if set_text.lines:
            self.marks.append(Mark("text", (left, top, right, bottom), set_text, start))
        for row, line in enumerate(set_text.lines):
            spare = right - left - set_text.line_width(line)
            across = left + (spare / 2 if centred else spare if set_text.right_to_left else 0)
            self._letter((across, start + row * set_text.line_height), line, set_text, colour)

    def button(self, box: Box, text: str, radius: int = 28, largest: int = 60, inset: int = 15) -> None:
        """The call to action on its own colour, `inset` thousandths of the width from its sides."""
        if text.strip():
            self.fill(box, self.palette.action, radius)
            inner = Box(box.left + inset, box.top + 8, box.right - inset, box.bottom - 8)
            self.write(inner, text, self.palette.on_action, largest, lines=2, centred=True)

    def disc(self, box: Box, inner: Box, text: str, largest: int = 64) -> None:
        """The call to action within `inner`, on an ellipse that fills `box`."""
        if text.strip():
            self.marks.append(Mark("shape", self.pixels(box)))
            self.draw.ellipse(self.pixels(box), self.palette.action)
            self.write(inner, text, self.palette.on_action, largest, lines=2, centred=True)

    def tag(self, box: Box, inner: Box, text: str, largest: int = 64) -> None:
        """The call to action within `inner`, on a price tag that points to the left and fills `box`."""
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
        # the font's own top bearing is larger than its descent; a tenth of its size up looks centred
        above = place[1] - lettering.size * 0.1
        lettering.draw(self.draw, (place[0], above), line, colour, stroke=0.4 * SCALE / 3)


def tone(picture: np.ndarray, palette: Palette) -> tuple[Image.Image, Colour]:
    """uint8 [h, w, c] -> (the picture in the palette's two tones, its ground's colour); colours stay as they are.

    A picture on black fades into the panel, one on white into the light tone, so that no frame shows.
    """
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    if picture.shape[2] == 3:
        return Image.fromarray(picture), tuple(int(value) for value in np.median(border, axis=0))
    dark, light = np.array(palette.panel, np.float64), np.array(palette.light, np.float64)
    share = picture.astype(np.float64) / 255.0  # (h, w, 1)
    toned = np.rint(dark + share * (light - dark)).astype(np.uint8)
    ground = dark + np.median(border) / 255.0 * (light - dark)
    return Image.fromarray(toned), tuple(int(value) for value in np.rint(ground))
