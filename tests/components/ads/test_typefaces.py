"""Headlines in any script: every letter is drawn, in a font that has it, shaped and in order; others are refused."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from components.ads.admission import Standards
from components.ads.copy.admitted_texts import admitted_texts
from components.ads.rendering import typefaces
from components.ads.rendering.compose import compose
from components.ads.rendering.designs import Parts, designs
from components.ads.rendering.text_fitting import fit_text, measure, printable, spelled
from components.ads.rendering.typefaces import FACES, RAQM, has_raqm, is_right_to_left, load, pieces, undrawable
from components.settings.errors import UserError

shapes = pytest.mark.skipif(not has_raqm(), reason="FriBiDi is not installed (Debian: apt-get install libfribidi0)")
SIMPLE = ("Koupit zboží", "İstanbul'da indirim", "Tylko 99 zł", "Ελληνικά προϊόντα", "Їжа та напої", "₺99", "₽500",
          "Sale 🔥 50%", "€ £ ₴ ₦ ₿ ₾ ₼ ₸ ₱ ฿", "你好 Ελλάδα", "ქართული", "Հայերեն")  # fmt: skip
COMPLEX = ("اشتر الآن", "קנו עכשיו", "ซื้อเลย", "अभी खरीदें", "خصم 50% على Nike الآن!", "קנו Nike ב-50% הנחה!", "বাংলা",
           "தமிழ்", "ភាសាខ្មែរ", "می‌خواهم")  # fmt: skip
NOBODY = "\U0010fffd"
BOX = (300, 90, 40, 9)


def every(texts: tuple[str, ...]) -> list:
    marked = [pytest.param(text, marks=shapes) for text in COMPLEX]
    return [*texts, *marked]


@pytest.mark.parametrize("text", every(SIMPLE))
def test_no_sign_of_a_headline_is_lost(text):
    drawn = pieces(printable(text), is_right_to_left(text))
    assert Counter("".join(piece.text for piece in drawn)) == Counter(text)
    for piece in drawn:
        assert all(typefaces.has(piece.face, sign) for sign in piece.text if sign not in typefaces.JOINERS)
    lettering = fit_text(text, *BOX)
    assert Counter("".join(lettering.lines).replace(" ", "")) == Counter(text.replace(" ", ""))


@pytest.mark.parametrize("text", every(SIMPLE))
@pytest.mark.parametrize("box", [(300, 90), (90, 40), (40, 200)])
def test_no_script_overflows_its_box(text, box):
    lettering = fit_text(text * 2, *box, largest=40, smallest=9, most_lines=3)
    assert lettering.height <= box[1] or len(lettering.lines) == 1
    assert all(measure(line, lettering.size, lettering.plain) <= box[0] for line in lettering.lines)


@pytest.mark.parametrize("text", every(SIMPLE))
def test_a_button_with_a_text_differs_from_an_empty_one_and_stays_inside(text):
    picture = np.zeros((28, 28, 1), np.uint8)
    for template in designs():
        ad, blank = (compose(picture, Parts(None, call), "cool", template) for call in (text, "."))
        assert (ad != blank).any() and np.array_equal(ad[:, 0], blank[:, 0])


def test_what_one_font_has_is_set_in_it_alone():
    """English and Chinese ads keep the pixels that they had: one font, without shaping."""
    for text in ("Shop now 50%", "全场五折，最后机会", "T恤 SALE", "カワイイ", "한국어"):
        assert fit_text(text, *BOX).plain
    assert not fit_text("Koupit zboží", *BOX).plain
    assert {piece.face for piece in pieces("Koupit zboží", False)} == {"NotoSans"}, "one design for all its letters"


@shapes
def test_letters_are_shaped():
    def glyphs(face, text):
        return load(face, 40, RAQM).getlength(text)

    arabic = "الآن"
    assert glyphs("NotoSansArabic", arabic) < 0.9 * sum(glyphs("NotoSansArabic", sign) for sign in arabic)
    conjunct = "क्ष"  # three code points, one letter
    assert glyphs("NotoSansDevanagari", conjunct) < 0.8 * sum(glyphs("NotoSansDevanagari", sign) for sign in conjunct)
    vowel = [np.asarray(load("NotoSansDevanagari", 40, RAQM).getmask(text)).sum() for text in ("कि", "क")]
    assert vowel[0] > vowel[1]


@shapes
def test_pieces_stand_in_the_order_of_the_bidirectional_algorithm():
    def seen(text):
        return [(piece.text, piece.right_to_left) for piece in pieces(text, is_right_to_left(text))]

    assert seen("קנו Nike") == [("Nike", False), ("קנו ", True)]
    assert seen("Nike קנו") == [("Nike ", False), ("קנו", True)]
    by_levels = seen("קנו Nike ב-50% הנחה!")
    assert [text.strip() for text, _ in by_levels][-2:] == ["Nike", "קנו"]
    assert [text for text, turned in by_levels if not turned] == ["50%", "Nike"]
    assert seen("abc") == [("abc", False)]


@shapes
def test_what_is_read_from_the_right_begins_at_the_right():
    picture = np.zeros((28, 28, 1), np.uint8)
    ads = [compose(picture, Parts(text, None), "mono", "split")[:, :140].astype(int) for text in ("קנו", "Buy", "")]
    columns = [np.flatnonzero((ad != ads[2]).any(axis=(0, 2))) for ad in ads[:2]]
    assert columns[0].min() > 60 and columns[1].max() < 80
    lettering = fit_text("خصم 50% على Nike الآن!", 120, 90, 30, 9)
    assert lettering.right_to_left and len(lettering.lines) > 1, "a line that begins with Nike is read so, too"


def test_what_no_font_has_is_refused_by_name():
    with pytest.raises(UserError, match=r"no font here has .* \(U\+10FFFD no name\), .* \(U\+13000 EGYPTIAN"):
        printable(f"Sale {NOBODY} now \U00013000 {NOBODY}")
    with pytest.raises(UserError, match=r"U\+10FFFD"):
        compose(np.zeros((8, 8, 1), np.uint8), Parts(f"a{NOBODY}", None), None, None)
    assert undrawable("Sale") is None
    assert spelled(f"a{NOBODY}b") == "aU+10FFFDb"


def test_invisible_signs_go_and_split_letters_are_put_together():
    assert printable("\u200eSale\ufeff 🔥\ufe0f\u2066!") == "Sale 🔥 !"
    assert printable("z\u030c") == "ž"


def test_letters_that_need_shaping_are_refused_where_nothing_shapes_them(monkeypatch):
    monkeypatch.setattr(typefaces, "has_raqm", lambda: False)
    pieces.cache_clear()
    with pytest.raises(UserError, match=r"Arabic letters need FriBiDi.*apt-get install libfribidi0"):
        printable("اشتر الآن")
    assert measure("Koupit zboží", 20) > 50
    pieces.cache_clear()


def test_texts_that_cannot_be_drawn_stand_in_no_new_ad():
    creatives = pd.DataFrame({"headline": ["Sale", f"a{NOBODY}", None], "call_to_action": ["Go", "Go", f"{NOBODY}"]})
    campaigns = pd.DataFrame({"campaign": ["a"], "locale": ["en"]})
    kept, remarks = admitted_texts({"creatives": creatives.assign(campaign="a"), "campaigns": campaigns}, Standards())
    assert kept["creatives"]["headline"].dropna().tolist() == ["Sale"]
    assert kept["creatives"]["call_to_action"].dropna().tolist() == ["Go", "Go"]
    *remarks, counted = remarks
    assert len(remarks) == 2 and all("is in no new ad: no font here has" in remark for remark in remarks)
    assert counted.startswith("pool: texts of people not admitted: no font here has") and counted.endswith("(2)")
    assert creatives["headline"].notna().sum() == 2, "the tables themselves stay as they are"


def test_every_font_is_there():
    assert all(load(face, 12).getlength("1") >= 0 for face in FACES)
