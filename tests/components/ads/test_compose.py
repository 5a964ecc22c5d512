from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from components.ads.rendering.ad_sizes import AD_SIZES, ASPECTS, AdSize, ad_sizes
from components.ads.rendering.canvas import SCALE, DryCanvas, smallest_type
from components.ads.rendering.compose import compose, lay_out
from components.ads.rendering.designs import Parts, cut_text, design_of, designs
from components.ads.rendering.palettes import PALETTES, contrast, palette_of
from components.ads.rendering.text_fitting import fit_text, font, measure, printable
from components.settings.errors import UserError
from components.simulator import vocabulary

LONG = "You will not believe this trick that everybody wears now, tomorrow and the day after that as well"
CHINESE = "看完你绝对不敢相信，所有人都在偷偷穿的神物，商家不会告诉你的秘密，最后机会今晚截止！"
TEXT_COLUMNS = [
    "",
    "Shop",
    LONG,
    CHINESE,
    "Pneumonoultramicroscopicsilicovolcanoconiosis" * 3,
    "好" * 10_000,
    "a b\nc\t" * 2500,
]


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8)


@pytest.mark.parametrize("template", designs())
def test_every_template_draws_an_ad_of_the_size_asked(template, picture):
    for text in (None, "Shop now", CHINESE):
        ad = compose(picture, Parts(text, text), "warm", template)
        assert ad.shape == (250, 300, 3) and ad.dtype == np.uint8
        assert np.array_equal(ad, compose(picture, Parts(text, text), "warm", template))
    assert compose(picture, Parts(LONG, "Go"), "cool", template, size=AdSize(728, 90)).shape == (90, 728, 3)


def test_every_class_of_shapes_has_every_template_and_every_size_a_class():
    assert set(designs()) == set(vocabulary.TEMPLATES)
    assert all(set(design.layouts) == set(ASPECTS) for design in designs().values())
    assert {size.aspect for size in AD_SIZES.values()} == set(ASPECTS)
    assert all(name == size.name for name, size in AD_SIZES.items())
    with pytest.raises(UserError, match=r"ads\.sizes: no ad size is called '300x251'; there are 300x250, 728x90, "):
        ad_sizes(("300x250", "300x251"))


def within(inner, outer) -> bool:
    return all(a >= b for a, b in zip(inner[:2], outer[:2], strict=True)) and all(
        a <= b for a, b in zip(inner[2:], outer[2:], strict=True)
    )


def overlap(one, other) -> bool:
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


MARGIN = 2 * SCALE  # pixels of the canvas that no text comes nearer to the edge
# as a shop writes them, and as nobody should
ADS = [
    *((text, text) for text in TEXT_COLUMNS),
    ("Warm coats for long winters", "Shop now"),
    (None, "مرحبا"),
    ("ग्राहक सेवा", None),
]


TITLES = (None, "32-Inch Monitor", "A chair of oiled oak with a woven seat, for kitchens and halls", "橡木餐椅")
PRICES = (None, "€1,299.00", "CN¥12,450.00", "1 299,00 €")


@pytest.mark.parametrize("template", designs())
@pytest.mark.parametrize("size", [*AD_SIZES.values(), AdSize(336, 280), AdSize(970, 250), AdSize(120, 600)])
def test_texts_stay_in_their_places_and_can_be_read_at_every_size(size, template):
    extras = [(title, price) for title in TITLES for price in PRICES]
    for number, (headline, call) in enumerate(ADS):
        title, price = extras[(7 * number) % len(extras)]
        canvas = DryCanvas.of(size, in_colour=number % 2 == 0)
        design_of(template).draw_on(canvas, Parts(headline, call, title, price), size.aspect)
        whole = (MARGIN, MARGIN, size.width * SCALE - MARGIN, size.height * SCALE - MARGIN)
        texts = [place for place, mark in enumerate(canvas.marks) if mark.kind == "text"]
        shown = (headline, call, title, price if template == "price-tag" else None)
        assert len(texts) == sum(bool(text) for text in shown)
        for place in texts:
            mark = canvas.marks[place]
            left, top, right, bottom = mark.area
            assert mark.lettering.size >= smallest_type(" ".join(mark.lettering.lines)) * SCALE
            assert all(measure(line, mark.lettering.size) <= right - left for line in mark.lettering.lines)
            assert top <= mark.top and mark.top + mark.lettering.height <= bottom
            assert within(mark.area, whole)
            # it stands on one colour: the last thing drawn under it holds all of it
            under = [below for below in canvas.marks[:place] if overlap(below.area, mark.area)]
            assert not under or (under[-1].kind == "shape" and within(mark.area, under[-1].area))
        areas = [canvas.marks[place].area for place in texts]
        assert not any(overlap(one, other) for place, one in enumerate(areas) for other in areas[:place])


@pytest.mark.parametrize("size", AD_SIZES.values(), ids=lambda size: size.name)
def test_an_ad_is_drawn_where_a_dry_run_puts_it_and_the_same_twice(size, picture):
    template = sorted(designs())[size.width % len(designs())]
    parts = Parts("Warm coats", CHINESE, *TITLES[1:2], *PRICES[1:2])
    drawn, dry = lay_out(picture, parts, "cool", template, size=size), DryCanvas.of(size, in_colour=False)
    design_of(template).draw_on(dry, parts, size.aspect)
    places = [[replace(mark, colour=None) for mark in one.marks if mark.kind == "text"] for one in (drawn, dry)]
    assert places[0] == places[1] and len(places[0]) >= 3
    ad, same = (compose(picture, parts, "cool", template, size=size) for _ in range(2))
    assert ad.shape == (size.height, size.width, 3) and ad.tobytes() == same.tobytes()


@pytest.mark.parametrize("template", designs())
@pytest.mark.parametrize("size", AD_SIZES.values(), ids=lambda size: size.name)
def test_what_shops_write_is_shown_whole_at_every_size(size, template):
    """Titles and prices of a catalogue, and the headlines and calls of the simulated shops: nothing ends in dots."""
    texts = [
        *(("Made to last, easy to love", "Get yours", "Compact Digital Camera", "€899.99"),),
        *(("The secret shops do not tell you", "See more", "Ultraboost Running Shoe", "€1,245.00"),),
        *(("看完你绝对不敢相信的好物", "立即购买", "橡木餐椅", "¥1,245.00"),),
    ]
    for headline, call, title, price in texts:
        assert cut_text(Parts(headline, call, title, price), template, size, True) is None


DRAWN = {  # of the code before there were other sizes
    "plain": "a43947ca1f4c2032",
    "badge": "66c193a08c73651a",
    "split": "e76742f666dc1367",
    "lifestyle": "cbd9ec9dc3668ff1",
    "price-tag": "fc6a31a40a6b7356",
}


def test_the_medium_rectangle_is_drawn_as_ever():
    """Ads that are in packages of earlier releases: a layout for other sizes changes no byte of them."""
    digests, ramp = {}, np.arange(784, dtype=np.uint8).reshape(28, 28, 1)
    for template in designs():
        ads = [compose(ramp, Parts("Shop now", "立即购买"), palette, template) for palette in ("warm", "mono")]
        digests[template] = sha256(b"".join(ad.tobytes() for ad in ads)).hexdigest()[:16]
    assert digests == DRAWN


def test_an_added_size_takes_one_line(picture, monkeypatch):
    square = AdSize(250, 250)
    monkeypatch.setitem(AD_SIZES, square.name, square)
    (size,) = ad_sizes(("250x250",))
    assert compose(picture, Parts("Shop", "Buy"), "warm", "badge", size=size).shape == (250, 250, 3)


@pytest.mark.parametrize("text", TEXT_COLUMNS)
@pytest.mark.parametrize("box", [(300, 90), (120, 40), (60, 200)])
def test_text_never_overflows_its_box(text, box):
    lettering = fit_text(text, *box, largest=40, smallest=9, most_lines=3)
    assert lettering.height <= box[1] or len(lettering.lines) == 1
    assert all(measure(line, lettering.size) <= box[0] for line in lettering.lines)
    assert len(lettering.lines) <= 3


def test_long_text_shrinks_before_it_is_cut():
    short, long = (fit_text(text, 300, 90, 40, 9) for text in ("Shop", LONG))
    assert short.size == 40 and 9 <= long.size < 40
    assert "".join(long.lines).replace(" ", "") == LONG.replace(" ", "")
    assert fit_text(LONG * 3, 300, 40, 40, 9).lines[-1].endswith("…")


def test_chinese_breaks_between_signs_but_not_before_a_mark():
    lettering = fit_text(CHINESE, 200, 120, 24, 10, most_lines=5)
    assert len(lettering.lines) > 1
    assert not any(line[0] in "，。！" for line in lettering.lines)


def test_control_characters_become_spaces():
    assert printable("Sale \U0001f600 \x00now") == "Sale \U0001f600 now"
    assert printable("全天") == "全天"


def test_text_ends_up_inside_the_ad(picture):
    """The outermost pixels are paper or panel alone: nothing was drawn across the edge."""
    blank = compose(picture, Parts("", ""), "mono", "plain")
    for text in TEXT_COLUMNS[1:]:
        drawn = compose(picture, Parts(text, text), "mono", "plain")
        edges = [np.concatenate([ad[0], ad[-1], ad[:, 0], ad[:, -1]]) for ad in (blank, drawn)]
        assert np.array_equal(*edges)


def test_texts_can_be_read():
    for palette in PALETTES.values():
        assert contrast(palette.paper, palette.ink) >= 4.5
        assert contrast(palette.action, palette.on_action) >= 4.5
    for brand in ("#ffee00", "#101010", "#888888"):
        branded = palette_of("warm", brand)
        assert contrast(branded.action, branded.on_action) >= 4.5
    assert palette_of("no such", "no colour") == PALETTES["mono"]


def test_the_font_has_both_scripts():
    assert font(20).getlength("全") == pytest.approx(20, abs=1)
    assert font(20).getlength("W") > 5
