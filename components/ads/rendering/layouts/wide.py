"""Templates for strips, such as 728x90 and 320x50, with image, headline and call to action side by side."""

from components.ads.rendering.canvas import Box, Canvas

CALL, TAG = 250, 290  # widths of the call to action and of a price tag, in thousandths of the ad's
WIDEST = 260  # largest width of the image, in thousandths of the ad's
HEADLINE, ACTION = 300, 240  # largest type, in thousandths of the height
LINES = 4
EDGE = 20


def _panel(canvas: Canvas, heights: float) -> int:
    """The width of the image, `heights` times the ad's height but at most WIDEST, in thousandths of the ad's width."""
    wide, high = canvas.image.size
    return min(WIDEST, int(1000 * heights * high / wide))


def _call(canvas: Canvas, left: int, height: int) -> Box:
    """The box of the call to action: `height` thousandths of the ad's height, but at most 0.6 of the box's width."""
    wide, high = canvas.image.size
    half = min(height, int(0.6 * (CALL - EDGE) * wide / high)) // 2
    return Box(left, 500 - half, left + CALL - EDGE, 500 + half)


def _action(canvas: Canvas) -> int:
    """The largest type size of a call to action, so that a short one is on one line."""
    wide, high = canvas.image.size
    return min(ACTION, (CALL - EDGE) * wide // (5 * high))


def _headline(canvas: Canvas, left: int, right: int, text: str) -> None:
    canvas.write(Box(left, 80, right, 920), text, canvas.palette.ink, HEADLINE, lines=LINES)


def _plain(canvas: Canvas, headline: str, call: str) -> None:
    panel = _panel(canvas, 1.5)
    canvas.show(Box(0, 0, panel, 1000))
    _headline(canvas, panel + EDGE, 1000 - CALL - EDGE, headline)
    canvas.button(_call(canvas, 1000 - CALL, 640), call, radius=60, largest=_action(canvas))


def _badge(canvas: Canvas, headline: str, call: str) -> None:
    panel = _panel(canvas, 1.2)
    canvas.show(Box(10, 70, panel, 930), radius=120)
    _headline(canvas, panel + EDGE, 1000 - CALL - EDGE, headline)
    canvas.button(_call(canvas, 1000 - CALL, 700), call, radius=350, largest=_action(canvas))


def _split(canvas: Canvas, headline: str, call: str) -> None:
    panel = 1000 - _panel(canvas, 1.5)
    canvas.show(Box(panel, 0, 1000, 1000))
    _headline(canvas, EDGE, panel - CALL - EDGE, headline)
    canvas.button(_call(canvas, panel - CALL, 640), call, radius=60, largest=_action(canvas))


def _lifestyle(canvas: Canvas, headline: str, call: str) -> None:
    panel = _panel(canvas, 2.4)
    canvas.show(Box(0, 0, panel, 1000), margin=0)
    _headline(canvas, panel + EDGE, 1000 - CALL - EDGE, headline)
    canvas.button(_call(canvas, 1000 - CALL, 600), call, radius=200, largest=_action(canvas))


def _price_tag(canvas: Canvas, headline: str, call: str) -> None:
    panel, left = _panel(canvas, 1.2), 1000 - TAG
    canvas.ground(Box(left - EDGE, 0, 1000, 1000))
    canvas.show(Box(0, 0, panel, 1000), margin=20)
    _headline(canvas, panel + EDGE, left - 2 * EDGE, headline)
    wide, high = canvas.image.size
    half = min(350, 70 * wide // high)  # of the tag's height; its point is as long
    point = half * high // wide
    tag = Box(left, 500 - half, 1000, 500 + half)
    canvas.tag(tag, Box(left + point + EDGE, tag.top + 20, 985, tag.bottom - 20), call, largest=_action(canvas))


LAYOUTS = {"plain": _plain, "badge": _badge, "split": _split, "lifestyle": _lifestyle, "price-tag": _price_tag}
