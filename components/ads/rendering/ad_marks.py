"""What an ad must say by law, such as that it is one, in a band beside the design: below it, or at its right.

Ideographs are at least a twentieth of the ad's shorter side tall (China's standard GB 45438 for marks of generated
content), and no type is smaller than that of other texts. The band is plain paper, so that the marks lie on no photo
and no text.
"""

import math

from components.ads.rendering.ad_sizes import AdSize
from components.ads.rendering.canvas import SCALE, SMALLEST_IDEOGRAPHS, Canvas, smallest_type
from components.ads.rendering.text_fitting import measure, printable

LATIN, IDEOGRAPHS = 0.04, 0.055  # font size, of the shorter side; an ideograph is about 0.92 of it tall
LEADING = 1.3  # line height in font sizes
ROOM = 0.5  # beside and above a mark, in font sizes
AT_RIGHT = ("wide", "strip")  # shapes of ads that are too low for a band below


def frame_for(size: AdSize, marks: tuple[str, ...]) -> tuple[int, int] | None:
    """Width and height in pixels of the canvas that the design may fill beside these marks; None: all of it."""
    if not marks:
        return None
    wide, high, type_size = size.width * SCALE, size.height * SCALE, _type_size(size, marks)
    if size.aspect in AT_RIGHT:
        return wide - _widest(marks, type_size) - math.ceil(2 * ROOM * type_size), high
    return wide, high - math.ceil((LEADING + ROOM) * type_size)


def draw_marks(canvas: Canvas, size: AdSize, marks: tuple[str, ...]) -> None:
    """Draw the marks in the part of the canvas that `frame_for` left."""
    type_size = _type_size(size, marks)
    wide, high = size.width * SCALE, size.height * SCALE
    room = math.ceil(ROOM * type_size)
    line = math.ceil(LEADING * type_size)
    if size.aspect not in AT_RIGHT:
        across, top = room, canvas.room[1] + (high - canvas.room[1] - line) // 2
        for mark in marks:
            width = math.ceil(measure(printable(mark), type_size)) + 1
            area = across, top, min(across + width, wide), top + line
            canvas.letter(area, mark, canvas.palette.ink, (type_size, type_size), lines=1)
            across += width + 2 * room
        return
    left, width = canvas.room[0] + room, _widest(marks, type_size)
    rows = [len(mark.split()) for mark in marks]
    top = (high - line * sum(rows)) // 2
    for mark, count in zip(marks, rows, strict=True):
        area = left, top, left + width, top + line * count
        canvas.letter(area, mark, canvas.palette.ink, (type_size, type_size), lines=count, centred=True)
        top += line * count


def _type_size(size: AdSize, marks: tuple[str, ...]) -> int:
    """Font size of all marks, in pixels of the canvas."""
    smallest = max(map(smallest_type, marks))
    share = IDEOGRAPHS if smallest == SMALLEST_IDEOGRAPHS else LATIN
    return SCALE * max(math.ceil(share * min(size.width, size.height)), smallest)


def _widest(marks: tuple[str, ...], type_size: int) -> int:
    """Width of the widest word of the marks, in pixels of the canvas."""
    return max(math.ceil(measure(printable(word), type_size)) for mark in marks for word in mark.split()) + 1
