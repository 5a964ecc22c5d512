import numpy as np
import pytest

from components.ads.compose import LAYOUTS, compose
from components.ads.palettes import PALETTES, contrast, palette_of
from components.ads.text_fitting import fit_text, font, measure, printable

LONG = "You will not believe this trick that everybody wears now, tomorrow and the day after that as well"
CHINESE = "看完你绝对不敢相信，所有人都在偷偷穿的神物，商家不会告诉你的秘密，最后机会今晚截止！"
TEXTS = [
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


@pytest.mark.parametrize("template", LAYOUTS)
def test_every_template_draws_an_ad_of_the_size_asked(template, picture):
    for text in (None, "Shop now", CHINESE):
        ad = compose(picture, text, text, "warm", template)
        assert ad.shape == (250, 300, 3) and ad.dtype == np.uint8
        assert np.array_equal(ad, compose(picture, text, text, "warm", template))
    assert compose(picture, LONG, "Go", "cool", template, size=(728, 90)).shape == (90, 728, 3)


@pytest.mark.parametrize("text", TEXTS)
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
    blank = compose(picture, "", "", "mono", "plain")
    for text in TEXTS[1:]:
        drawn = compose(picture, text, text, "mono", "plain")
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
