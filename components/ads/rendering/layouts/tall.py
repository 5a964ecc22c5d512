"""Templates for columns, such as 160x600 and 300x600, with image, headline and call to action from top to bottom."""

from components.ads.rendering.canvas import Box, Canvas

HEADLINE, ACTION = 150, 110  # largest type, in thousandths of the width
LINES = 6
INSET = 60  # of a button's text
LEFT, RIGHT = 80, 920  # of texts and buttons


def _headline(canvas: Canvas, top: int, bottom: int, text: str, centred: bool = False) -> None:
    canvas.write(Box(LEFT, top, RIGHT, bottom), text, canvas.palette.ink, HEADLINE, lines=LINES, centred=centred)


def _plain(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(0, 0, 1000, 480))
    _headline(canvas, 510, 810, headline)
    canvas.button(Box(LEFT, 850, RIGHT, 950), call, largest=ACTION, inset=INSET)


def _badge(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(50, 20, 950, 440), radius=80)
    _headline(canvas, 460, 700, headline, centred=True)
    wide, high = canvas.image.size
    across = min(760, 250 * high // wide)  # the disc is a circle, at most a quarter of the height
    down = across * wide // high
    top = 720 + (260 - down) // 2
    disc = Box(500 - across // 2, top, 500 + across // 2, top + down)
    canvas.disc(disc, _within(disc), call, largest=80)


def _within(disc: Box) -> Box:
    """The square inscribed in a circle, in which text is on the circle's colour."""
    across, down = (disc.right - disc.left) * 147 // 1000, (disc.bottom - disc.top) * 147 // 1000  # (1 - 1/sqrt 2) / 2
    return Box(disc.left + across, disc.top + down, disc.right - across, disc.bottom - down)


def _split(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(0, 500, 1000, 1000))
    _headline(canvas, 40, 340, headline)
    canvas.button(Box(LEFT, 370, RIGHT, 465), call, largest=ACTION, inset=INSET)


def _lifestyle(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(0, 0, 1000, 600), margin=0)
    _headline(canvas, 620, 850, headline)
    canvas.button(Box(LEFT, 875, RIGHT, 960), call, radius=160, largest=ACTION, inset=INSET)


def _price_tag(canvas: Canvas, headline: str, call: str) -> None:
    canvas.ground(Box(0, 300, 1000, 1000))
    canvas.show(Box(0, 300, 1000, 780), margin=20)
    _headline(canvas, 30, 285, headline)
    canvas.tag(Box(150, 830, 1000, 940), Box(400, 840, 970, 930), call, largest=ACTION)


LAYOUTS = {"plain": _plain, "badge": _badge, "split": _split, "lifestyle": _lifestyle, "price-tag": _price_tag}
