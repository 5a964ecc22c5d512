"""Templates for ads of about equal width and height, such as 300x250 and 336x280."""

from components.ads.rendering.canvas import Box, Canvas


def _plain(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(0, 0, 1000, 640))
    canvas.write(Box(50, 665, 620, 970), headline, canvas.palette.ink, 80)
    canvas.button(Box(650, 740, 950, 895), call)


def _badge(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(40, 48, 960, 690), radius=50)
    canvas.write(Box(50, 715, 950, 960), headline, canvas.palette.ink, 80, lines=2, centred=True)
    canvas.disc(Box(690, 20, 985, 374), Box(725, 95, 950, 299), call)


def _split(canvas: Canvas, headline: str, call: str) -> None:
    canvas.show(Box(480, 0, 1000, 1000))
    canvas.write(Box(50, 90, 440, 690), headline, canvas.palette.ink, 100, lines=4)
    canvas.button(Box(50, 745, 430, 905), call)


def _lifestyle(canvas: Canvas, headline: str, call: str) -> None:
    # the band would hide a third of a colour photo, which fills its panel
    canvas.show(Box(0, 0, 1000, 700 if canvas.in_colour else 1000), margin=0)
    canvas.fill(Box(0, 700, 1000, 1000), canvas.palette.paper)
    canvas.write(Box(45, 715, 610, 985), headline, canvas.palette.ink, 76)
    canvas.button(Box(640, 770, 955, 930), call, radius=80)


def _price_tag(canvas: Canvas, headline: str, call: str) -> None:
    canvas.ground(Box(0, 250, 1000, 1000))
    canvas.show(Box(0, 250, 680, 1000), margin=20)
    canvas.write(Box(50, 25, 950, 225), headline, canvas.palette.ink, 84, lines=2)
    canvas.tag(Box(570, 525, 1000, 725), Box(665, 540, 980, 710), call)


LAYOUTS = {"plain": _plain, "badge": _badge, "split": _split, "lifestyle": _lifestyle, "price-tag": _price_tag}
