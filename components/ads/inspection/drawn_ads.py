"""Ads as they were drawn, and what is measured on their pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from components.ads.rendering.ad_sizes import AdSize
from components.ads.rendering.canvas import SCALE, Mark, Pixels, panel_photo
from components.ads.rendering.compose import lay_out, pixels_of
from components.ads.rendering.designs import Design, Parts
from components.ads.rendering.palettes import Palette, palette_of, relative_luminance

NEAR = 2  # pixels of the ad around letters that count as their background
INK = 0.3  # coverage from which a pixel belongs to a letter


@dataclass(frozen=True)
class DrawnAd:
    """An ad of one size. pixels: uint8 [h, w, 3]; marks: what was drawn, in order, in pixels of a canvas SCALE times as
    large; picture: uint8 [h, w, 1 or 3], the image that it should show; required: marks that it must show."""

    size: AdSize
    pixels: np.ndarray
    marks: Sequence[Mark]
    picture: np.ndarray
    palette: Palette
    required: tuple[str, ...] = ()

    @cached_property
    def texts(self) -> list["ShownText"]:
        """The texts, in the order in which they were drawn."""
        return [ShownText(self, mark) for mark in self.marks if mark.kind == "text"]

    @cached_property
    def photo(self) -> Mark | None:
        """Where the image is."""
        return next((mark for mark in self.marks if mark.kind == "picture"), None)

    def shapes_on_photo(self) -> list[Pixels]:
        """The areas of shapes drawn on the image."""
        if self.photo is None:
            return []
        later = self.marks[self.marks.index(self.photo) + 1 :]
        return [mark.area for mark in later if mark.kind == "shape" and _meet(mark.area, self.photo.area)]

    def photo_change(self) -> int:
        """The largest difference, in levels, of the ad from its image framed and scaled alone, where nothing covers it.

        The corners of the panel may be rounded; its rims share pixels with what is beside it.
        """
        left, top, right, bottom = self.photo.area if self.photo else (0, 0, 0, 0)
        if self.photo is None:
            return 0
        canvas = Image.new("RGB", (self.size.width * SCALE, self.size.height * SCALE))
        canvas.paste(panel_photo(self.picture, self.palette, (right - left, bottom - top)), (left, top))
        expected = np.asarray(canvas.resize((self.size.width, self.size.height), Image.Resampling.BOX)).astype(int)
        seen = _inside(self.pixels.shape[:2], self.photo.area, inset=1)
        for mark in self.marks[self.marks.index(self.photo) + 1 :]:
            seen &= ~_touched(self.pixels.shape[:2], mark.area)
        high, wide = bottom - top, right - left
        for across in (left, right - wide // 8):
            for down in (top, bottom - high // 8):
                seen &= ~_touched(self.pixels.shape[:2], (across, down, across + wide // 8, down + high // 8))
        return int(np.abs(self.pixels.astype(int) - expected).max(axis=2)[seen].max(initial=0))


@dataclass(frozen=True)
class ShownText:
    """A text of a drawn ad."""

    ad: DrawnAd
    mark: Mark

    @cached_property
    def _window(self) -> tuple[int, int, int, int]:
        """The part of the ad with the text and what is around it, in pixels of the ad."""
        lettering = self.mark.lettering
        left, top, right, bottom = self.mark.area
        top, bottom = min(top, self.mark.top), max(bottom, self.mark.top + lettering.height)
        around = NEAR + 2
        return (
            max(0, left // SCALE - around),
            max(0, top // SCALE - around),
            min(self.ad.size.width, math.ceil(right / SCALE) + around),
            min(self.ad.size.height, math.ceil(bottom / SCALE) + around),
        )

    @cached_property
    def _coverage(self) -> np.ndarray:
        """float64 [h, w] in [0, 1]: the share of each pixel of the window that the letters cover."""
        left, top, right, bottom = self._window
        mask = Image.new("L", ((right - left) * SCALE, (bottom - top) * SCALE), 0)
        self.mark.letter(ImageDraw.Draw(mask), 255, (left * SCALE, top * SCALE))
        return np.asarray(mask.reduce(SCALE), np.float64) / 255.0

    @cached_property
    def _seen(self) -> np.ndarray:
        left, top, right, bottom = self._window
        return self.ad.pixels[top:bottom, left:right].astype(np.float64)

    @cached_property
    def _behind(self) -> np.ndarray:
        """float64 [n, 3]: the pixels beside the letters."""
        letters = self._coverage > 0
        return self._seen[ndimage.binary_dilation(letters, iterations=NEAR) & ~letters]

    @property
    def ink_box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the letters, in pixels of the ad."""
        rows, columns = np.nonzero(self._coverage > INK)
        if not len(rows):
            return (0, 0, 0, 0)
        left, top = self._window[:2]
        return left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1

    def contrast(self) -> float:
        """The contrast ratio (WCAG 2.2) of the text with all but 2 % of the pixels beside its letters."""
        if not len(self._behind):
            return 1.0
        ink = relative_luminance(np.array(self.mark.colour, np.float64))
        behind = relative_luminance(self._behind)
        ratios = (np.maximum(ink, behind) + 0.05) / (np.minimum(ink, behind) + 0.05)
        return float(np.quantile(ratios, 0.02))

    def difference(self) -> float:
        """The mean difference, in levels, of the letters' pixels from the text's colour over what is beside them."""
        letters = self._coverage > INK
        if not letters.any() or not len(self._behind):
            return 255.0
        share = self._coverage[letters][:, None]
        expected = share * np.array(self.mark.colour, np.float64) + (1 - share) * np.median(self._behind, axis=0)
        return float(np.abs(self._seen[letters] - expected).max(axis=1).mean())

    @property
    def on_photo(self) -> bool:
        """Whether letters lie on the image itself, with no shape between."""
        photo = self.ad.photo
        if photo is None or self.ad.marks.index(self.mark) < self.ad.marks.index(photo):
            return False
        box = tuple(side * SCALE for side in self.ink_box)
        return _meet(box, photo.area) and not any(_within(box, shape) for shape in self.ad.shapes_on_photo())

    def meets(self, other: "ShownText") -> bool:
        """Whether the two texts' letters lie on or between each other."""
        return _meet(self.ink_box, other.ink_box)


def draw_ad_of(
    picture: np.ndarray,
    parts: Parts,
    palette: str | None,
    template: str | Design | None,
    *,
    size: AdSize,
    brand_color: str | None = None,
    required: tuple[str, ...] = (),
) -> DrawnAd:
    """The ad of this size as `compose` draws it."""
    canvas = lay_out(picture, parts, palette, template, size=size, brand_color=brand_color)
    return DrawnAd(
        size, pixels_of(canvas, size), tuple(canvas.marks), picture, palette_of(palette, brand_color), required
    )


def _meet(one: Sequence[int], other: Sequence[int]) -> bool:
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def _within(one: Sequence[int], other: Sequence[int]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] and one[3] <= other[3]


def _inside(shape: tuple[int, int], area: Pixels, inset: int) -> np.ndarray:
    """bool [h, w]: the pixels of the ad that lie wholly in an area of the canvas, `inset` pixels from its rims."""
    mask = np.zeros(shape, bool)
    left, top = (math.ceil(side / SCALE) + inset for side in area[:2])
    right, bottom = (side // SCALE - inset for side in area[2:])
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return mask


def _touched(shape: tuple[int, int], area: Pixels) -> np.ndarray:
    """bool [h, w]: the pixels of the ad that an area of the canvas touches."""
    mask = np.zeros(shape, bool)
    left, top = (side // SCALE for side in area[:2])
    right, bottom = (math.ceil(side / SCALE) for side in area[2:])
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return mask
