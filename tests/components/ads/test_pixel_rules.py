"""Rules on drawn ads: sound ads of every design, size and market pass; what is wrong on the pixels is named."""

from dataclasses import replace

import numpy as np
import pytest

from components.ads.inspection.drawn_ads import draw_ad_of
from components.ads.inspection.pixel_rules import PIXEL_RULES, inspect
from components.ads.rendering.ad_marks import AT_RIGHT
from components.ads.rendering.ad_sizes import AD_SIZES
from components.ads.rendering.canvas import SCALE
from components.ads.rendering.compose import compose
from components.ads.rendering.designs import Parts, cut_text, designs

SMALL = [size for size in AD_SIZES.values() if max(size.width, size.height) < 1000]
MARKS = {"广告": ("广告",), "both": ("广告", "AI生成"), "AI": ("AI generated image",), "none": ()}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A disc with a stripe on an even ground, uint8 [200, 200, 3]."""
    rows, columns = np.mgrid[:200, :200]
    picture = np.full((200, 200, 3), 238, np.uint8)
    picture[(rows - 100) ** 2 + (columns - 100) ** 2 < 3600] = (180, 60, 40)
    picture[80:120, 90:110] = (60, 90, 160)
    return picture


def drawn(photo, marks=(), size="300x250", template="plain", palette="warm", headline="Warm coats", required=None):
    parts = Parts(headline, "Shop now", "Wool Coat", marks=marks)
    required = marks if required is None else required
    return draw_ad_of(photo, parts, palette, template, size=AD_SIZES[size], brand_color="#225588", required=required)


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("template", designs())
def test_sound_ads_pass_with_every_mark_in_every_size(photo, template, name):
    for size in SMALL:
        ad = drawn(photo, MARKS[name], size.name, template)
        assert inspect(ad) == ("", ""), size
        assert cut_text(Parts("Warm coats", "Shop now", "Wool Coat", marks=MARKS[name]), template, size, True) is None


@pytest.mark.parametrize("size", AD_SIZES.values(), ids=lambda size: size.name)
@pytest.mark.parametrize("marks", [MARKS["both"], MARKS["AI"]], ids=["zh", "en"])
def test_marks_stand_beside_the_design_and_are_large_enough(photo, size, marks):
    ad = drawn(photo, marks, size.name)
    shown = [mark for mark in ad.marks if mark.text in marks]
    assert [mark.text for mark in shown] == list(marks)
    others = [mark for mark in ad.marks if mark.text not in marks]
    smallest = 9 if marks == MARKS["AI"] else 12
    for mark in shown:
        assert mark.lettering.size >= SCALE * smallest and not mark.lettering.cut
        if marks == MARKS["both"] and size.aspect not in AT_RIGHT:  # GB 45438: a twentieth of the shorter side
            assert 0.92 * mark.lettering.size >= SCALE * 0.05 * min(size.width, size.height)
        left, top, right, bottom = mark.area
        assert 0 <= left < right <= SCALE * size.width and 0 <= top < bottom <= SCALE * size.height
        assert all(other.area[2] <= left or other.area[3] <= top for other in others)


def test_an_ad_without_marks_is_the_same_as_before_there_were_any(photo):
    parts = Parts("Warm coats", "立即购买", "Wool Coat", "€59.00")
    for template in designs():
        plain = compose(photo, parts, "warm", template)
        assert (plain == compose(photo, replace(parts, marks=()), "warm", template)).all()
        assert (plain != compose(photo, replace(parts, marks=("广告",)), "warm", template)).any()


def altered(ad, change):
    """The ad with `change` made to a copy of its pixels."""
    pixels = ad.pixels.copy()
    change(pixels)
    return replace(ad, pixels=pixels)


def repainted(photo, ad, rule):
    """Ads with a fault that `rule` finds, on pixels or in what was drawn."""
    texts = [mark for mark in ad.marks if mark.kind == "text"]
    headline = next(mark for mark in texts if mark.text == "Warm coats")
    place = tuple(side // SCALE for side in headline.area)
    moved = {
        "texts apart": replace(headline, area=texts[0].area, top=texts[0].top, text="x"),
        "text off the product": replace(headline, area=(90, 90, 600, 200), top=100, text="x"),
        "type": replace(headline, lettering=replace(headline.lettering, size=8 * SCALE)),
        "product uncovered": replace(ad.marks[0], kind="shape", area=ad.photo.area),
    }
    if rule in moved:
        return replace(ad, marks=(*ad.marks, moved[rule]))
    if rule == "marks":
        return drawn(photo, required=("广告",))
    if rule == "whole texts":
        return drawn(photo, headline="Words that go on and on " * 9)
    if rule == "contrast":  # the paper becomes nearly as dark as the text
        dark = np.array(headline.colour) + 20
        return altered(ad, lambda pixels: np.copyto(pixels, dark.astype(np.uint8), where=(pixels > 200)))
    if rule == "texts shown":  # painted over with the paper's colour
        left, top, right, bottom = place
        return altered(ad, lambda pixels: pixels[top:bottom, left:right].__setitem__(..., (255, 247, 237)))
    assert rule == "product pixels"
    return replace(ad, picture=np.roll(photo, 1, axis=2))  # another colour than in the shop


@pytest.mark.parametrize("rule", PIXEL_RULES, ids=lambda rule: rule.name)
def test_a_rule_names_what_is_wrong(photo, rule):
    ad = drawn(photo)
    assert rule.reason(ad) == ""
    assert rule.reason(repainted(photo, ad, rule.name)) != ""


def test_a_changed_patch_of_the_product_is_found_and_rounding_is_not(photo):
    ad = drawn(photo)
    left, top, right, bottom = (side // SCALE for side in ad.photo.area)
    across, down = (left + right) // 2, (top + bottom) // 2
    assert ad.photo_change() == 0
    patch = altered(ad, lambda pixels: pixels[down : down + 6, across : across + 6].__setitem__(..., 0))
    assert inspect(patch) == ("product pixels", "shows a changed photo of the product in 300x250")
