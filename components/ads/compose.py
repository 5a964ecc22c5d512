"""Picture, headline and call to action -> a 300x250 ad, in one of five templates. Two equal calls give equal pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from components.ads.palettes import Colour, Palette, palette_of
from components.ads.text_fitting import Lettering, fit_text

SIZE = (300, 250)  # the "medium rectangle" of the IAB's display guidelines
SCALE = 3  # drawn three times as large and averaged down: smooth edges


@dataclass(frozen=True)
class Box:
    """A rectangle in thousandths of the ad's width and height."""

    left: int
    top: int
    right: int
    bottom: int


def compose(
    picture: np.ndarray,
    headline: str | None,
    call_to_action: str | None,
    palette: str | None,
    template: str | None,
    size: tuple[int, int] = SIZE,
    brand_color: str | None = None,
) -> np.ndarray:
    """uint8 [h, w, 1 or 3] and texts -> the ad, uint8 [height, width, 3]; `size` is (width, height) in pixels.

    Unknown templates and palettes are drawn as `plain` and `mono`; a missing text leaves its place empty.
    """
    canvas = _Canvas.blank(size, palette_of(palette, brand_color), picture)
    LAYOUTS.get(template or "", _plain)(canvas, headline or "", call_to_action or "")
    return np.asarray(canvas.image.resize(size, Image.Resampling.BOX))


@dataclass(frozen=True)
class _Canvas:
    """The ad being drawn, `SCALE` times its size."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    palette: Palette
    picture: np.ndarray

    @classmethod
    def blank(cls, size: tuple[int, int], palette: Palette, picture: np.ndarray) -> "_Canvas":
        image = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), palette.paper)
        return cls(image, ImageDraw.Draw(image), palette, picture)

    def pixels(self, box: Box) -> tuple[int, int, int, int]:
        wide, high = self.image.size
        return (box.left * wide // 1000, box.top * high // 1000, box.right * wide // 1000, box.bottom * high // 1000)

    def unit(self, thousandths: int) -> int:
        return max(1, self.image.size[1] * thousandths // 1000)

    def fill(self, box: Box, colour: Colour, radius: int = 0) -> None:
        left, top, right, bottom = self.pixels(box)
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
        self.image.paste(enlarged, ((left + right - wide) // 2, (top + bottom - high) // 2))

    def write(self, box: Box, text: str, colour: Colour, largest: int, lines: int = 3, centred: bool = False) -> None:
        """Text in the box, centred from top to bottom; what is read from the right begins at the right."""
        left, top, right, bottom = self.pixels(box)
        set_text = fit_text(text, right - left, bottom - top, self.unit(largest), self.unit(44), lines)
        start = top + max(0, (bottom - top - set_text.height) // 2)
        for row, line in enumerate(set_text.lines):
            spare = right - left - set_text.line_width(line)
            across = left + (spare / 2 if centred else spare if set_text.right_to_left else 0)
            self._letter((across, start + row * set_text.line_height), line, set_text, colour)

    def button(self, box: Box, text: str, radius: int = 28) -> None:
        """The call to action on its own colour."""
        if text.strip():
            self.fill(box, self.palette.action, radius)
            inner = Box(box.left + 15, box.top + 8, box.right - 15, box.bottom - 8)
            self.write(inner, text, self.palette.on_action, 60, lines=2, centred=True)

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


def _plain(canvas: _Canvas, headline: str, call: str) -> None:
    canvas.show(Box(0, 0, 1000, 640))
    canvas.write(Box(50, 665, 620, 970), headline, canvas.palette.ink, 80)
    canvas.button(Box(650, 740, 950, 895), call)


def _badge(canvas: _Canvas, headline: str, call: str) -> None:
    canvas.show(Box(40, 48, 960, 690), radius=50)
    canvas.write(Box(50, 715, 950, 960), headline, canvas.palette.ink, 80, lines=2, centred=True)
    if call.strip():
        left, top, right, bottom = canvas.pixels(Box(690, 20, 985, 374))
        canvas.draw.ellipse((left, top, right, bottom), canvas.palette.action)
        canvas.write(Box(725, 95, 950, 299), call, canvas.palette.on_action, 64, lines=2, centred=True)


def _split(canvas: _Canvas, headline: str, call: str) -> None:
    canvas.show(Box(480, 0, 1000, 1000))
    canvas.write(Box(50, 90, 440, 690), headline, canvas.palette.ink, 100, lines=4)
    canvas.button(Box(50, 745, 430, 905), call)


def _lifestyle(canvas: _Canvas, headline: str, call: str) -> None:
    canvas.show(Box(0, 0, 1000, 1000), margin=0)
    canvas.fill(Box(0, 700, 1000, 1000), canvas.palette.paper)
    canvas.write(Box(45, 715, 610, 985), headline, canvas.palette.ink, 76)
    canvas.button(Box(640, 770, 955, 930), call, radius=80)


def _price_tag(canvas: _Canvas, headline: str, call: str) -> None:
    canvas.fill(Box(0, 250, 1000, 1000), tone(canvas.picture, canvas.palette)[1])
    canvas.show(Box(0, 250, 680, 1000), margin=20)
    canvas.write(Box(50, 25, 950, 225), headline, canvas.palette.ink, 84, lines=2)
    if call.strip():
        left, top, right, bottom = canvas.pixels(Box(570, 525, 1000, 725))
        notch = (bottom - top) // 2
        tag = [(left, top + notch), (left + notch, top), (right, top), (right, bottom), (left + notch, bottom)]
        canvas.draw.polygon(tag, canvas.palette.action)
        hole = canvas.unit(12)
        centre = (left + notch, top + notch)
        canvas.draw.ellipse(
            (centre[0] - hole, centre[1] - hole, centre[0] + hole, centre[1] + hole), canvas.palette.paper
        )
        canvas.write(Box(665, 540, 980, 710), call, canvas.palette.on_action, 64, lines=2, centred=True)


LAYOUTS: dict[str, Callable[[_Canvas, str, str], None]] = {
    "plain": _plain,
    "badge": _badge,
    "split": _split,
    "lifestyle": _lifestyle,
    "price-tag": _price_tag,
}
