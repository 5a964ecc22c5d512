import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.contract.photos import MAX_PIXELS, NOT_A_PICTURE, inspect, photo_facts
from components.contract.suites import read_suite
from tests.components.contract.samples import bomb, png


@pytest.mark.parametrize(
    ("content", "kind", "mode"),
    [
        (png(), "PNG", "L"),
        (png(mode="RGB"), "PNG", "RGB"),
        (png(mode="RGBA"), "PNG", "RGBA"),
        (png(mode="RGB", kind="JPEG"), "JPEG", "RGB"),
        (png(kind="JPEG", size=(300, 250)), "JPEG", "L"),
        (png(mode="CMYK", kind="JPEG"), "JPEG", "CMYK"),
    ],
)
def test_pictures_tell_format_and_pixel_kind(content, kind, mode):
    facts = inspect(content)
    assert (facts.image_format, facts.image_mode, facts.image_decodes) == (kind, mode, True)


@pytest.mark.parametrize("content", [b"", b"not a picture", None, float("nan"), b"\x89PNG", b"GIF89a" + b"\0" * 40])
def test_what_is_no_picture(content):
    assert inspect(content) == NOT_A_PICTURE


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_off_does_not_decode(kind):
    whole = png(size=(64, 64), kind=kind)
    facts = inspect(whole[: len(whole) // 2])
    assert facts.image_format == kind
    assert not facts.image_decodes


@pytest.mark.parametrize("side", [6_000, 20_000, 60_000])
def test_a_decompression_bomb_is_known_by_its_header(side, monkeypatch):
    def never(image):
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr("components.contract.photos._decodes", never)
    facts = inspect(bomb(side, side))
    assert facts.image_pixels > MAX_PIXELS
    assert not facts.image_decodes


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(content):
    for data in (content, png()[:60] + content, b"\xff\xd8\xff\xe0" + content):
        facts = inspect(data)
        assert facts.image_format in (None, "PNG", "JPEG")


def test_other_formats_are_not_taken():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, format="BMP")
    assert inspect(stream.getvalue()) == NOT_A_PICTURE


def test_facts_stand_on_the_index_of_their_images():
    facts = photo_facts(pd.Series([png(), b"x"], index=[5, 9]))
    assert facts.index.tolist() == [5, 9]
    assert facts["image_decodes"].tolist() == [True, False]
    assert len(photo_facts(pd.Series([], dtype=object))) == 0


def test_the_reviewed_rule_and_the_decoder_have_one_limit():
    (limit,) = (rule.kwargs["max_value"] for rule in read_suite("images").rules if rule.columns == ("image_pixels",))
    assert limit == MAX_PIXELS
