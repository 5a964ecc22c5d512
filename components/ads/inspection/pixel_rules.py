"""Rules on drawn ads, measured on their pixels; a rule gives a reason to refuse an ad, or "".

They are applied to the ads that a pool would have, which are drawn in every size anyway (pools/pool.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from components.ads.inspection.drawn_ads import DrawnAd
from components.ads.rendering.canvas import SCALE, smallest_type

AA = 4.5  # contrast ratio of WCAG 2.2, level AA
SMOOTHING = 16.0  # levels: letters that differ more from their colour, on average, are covered or changed
ROUNDING = 2  # levels
MOST_HIDDEN = 1 / 3  # of the image's area, under shapes such as a price tag or a band of text


@dataclass(frozen=True)
class PixelRule:
    """A rule. reason: why the ad is refused, or ""."""

    name: str
    reason: Callable[[DrawnAd], str]


def inspect(ad: DrawnAd) -> tuple[str, str]:
    """The first rule that refuses the ad, and its reason; both "" if all admit it."""
    for rule in PIXEL_RULES:
        reason = rule.reason(ad)
        if reason:
            return rule.name, f"{reason} in {ad.size.name}"
    return "", ""


def _marks(ad: DrawnAd) -> str:
    shown = {text.mark.text for text in ad.texts}
    missing = next((mark for mark in ad.required if mark not in shown), None)
    return "" if missing is None else f"lacks the mark {missing!r} that its market requires"


def _whole(ad: DrawnAd) -> str:
    return "has a text that does not fit" if any(text.mark.lettering.cut for text in ad.texts) else ""


def _type(ad: DrawnAd) -> str:
    small = any(text.mark.lettering.size < SCALE * smallest_type(text.mark.text) for text in ad.texts)
    return "has a text in too small a type" if small else ""


def _contrast(ad: DrawnAd) -> str:
    lowest = min((text.contrast() for text in ad.texts), default=AA)
    return f"has a text with a contrast of {lowest:.1f}, less than {AA}" if lowest < AA else ""


def _shown(ad: DrawnAd) -> str:
    return "has a text that is covered or changed" if any(text.difference() > SMOOTHING for text in ad.texts) else ""


def _texts_apart(ad: DrawnAd) -> str:
    texts = ad.texts
    meet = any(one.meets(other) for place, one in enumerate(texts) for other in texts[:place])
    return "has a text on another text" if meet else ""


def _off_photo(ad: DrawnAd) -> str:
    return "has a text on the product" if any(text.on_photo for text in ad.texts) else ""


def _uncovered(ad: DrawnAd) -> str:
    if ad.photo is None:
        return "shows no product"
    left, top, right, bottom = ad.photo.area
    hidden = sum(
        (min(right, area[2]) - max(left, area[0])) * (min(bottom, area[3]) - max(top, area[1]))
        for area in ad.shapes_on_photo()
    )
    share = hidden / max(1, (right - left) * (bottom - top))
    return f"hides {share:.0%} of the product" if share > MOST_HIDDEN else ""


def _product_pixels(ad: DrawnAd) -> str:
    return "shows a changed photo of the product" if ad.photo_change() > ROUNDING else ""


# In the order in which they are applied; one line adds a rule.
PIXEL_RULES: tuple[PixelRule, ...] = (
    PixelRule("marks", _marks),
    PixelRule("whole texts", _whole),
    PixelRule("type", _type),
    PixelRule("texts apart", _texts_apart),
    PixelRule("text off the product", _off_photo),
    PixelRule("contrast", _contrast),
    PixelRule("texts shown", _shown),
    PixelRule("product uncovered", _uncovered),
    PixelRule("product pixels", _product_pixels),
)
