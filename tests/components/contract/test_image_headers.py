import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.contract.validation.image_headers import (
    MAX_PIXELS,
    NOT_A_PICTURE,
    OTHER_FORMATS,
    PhotoFacts,
    inspect,
    photo_facts,
)
from components.contract.validation.suites import read_suite
from components.contract.validation.validate import validate
from components.images import decode, header
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig
from tests.components.contract.samples import bomb, card, png, sample


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (png(), "PNG"),
        (png(mode="RGB"), "PNG"),
        (png(mode="RGBA"), "PNG"),
        (png(mode="RGB", kind="JPEG"), "JPEG"),
        (png(kind="JPEG", size=(300, 250)), "JPEG"),
        (png(mode="CMYK", kind="JPEG"), "JPEG"),
        (png(mode="RGBA", kind="WEBP"), "WebP"),
        (png(mode="RGB", kind="AVIF"), "AVIF"),
    ],
)
def test_pictures_of_every_pixel_kind_are_accepted(content, kind):
    facts = inspect(content)
    assert (facts.image_format, facts.image_decodes) == (kind, True)


@pytest.mark.parametrize("content", [b"", b"not a picture", None, float("nan"), b"\x89PNG", b"BM and other texts"])
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

    monkeypatch.setattr("components.contract.validation.image_headers._decodes", never)
    facts = inspect(bomb(side, side))
    assert facts.image_pixels > MAX_PIXELS
    assert not facts.image_decodes


ACCEPTED_NAMES = "PNG", "JPEG", "WebP", "AVIF"


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(content):
    begins = png()[:60], b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBPVP8X", png(kind="AVIF")[:100]
    for data in (content, *(begin + content for begin in begins)):
        facts = inspect(data)
        assert facts.image_format in (
            None,
            "PNG",
            "JPEG",
            "WebP",
            "AVIF",
            "BMP",
            "SVG",
            *(name for *_, name in OTHER_FORMATS),
        )


def other_pictures() -> dict[str, bytes]:
    """A picture of each format that is refused by its name: real ones where Pillow writes them."""
    made = {}
    for name in ("GIF", "BMP", "TIFF", "JPEG2000"):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8)).save(stream, format=name.upper())
        made[name.replace("JPEG2000", "JPEG 2000")] = stream.getvalue()
    made["animated AVIF"] = b"\0\0\0\x18ftypavis" + b"\0" * 40
    made["HEIC"] = b"\0\0\0\x18ftypheic" + b"\0" * 40
    made["JPEG XL"] = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 40
    made["Photoshop"] = b"8BPS\0\x01" + b"\0" * 40
    made["SVG"] = b'<?xml version="1.0"?>\n<svg xmlns="x" width="8" height="8"/>'
    return made


@pytest.mark.parametrize(("name", "content"), other_pictures().items())
def test_other_formats_are_named_and_not_taken(name, content):
    assert inspect(content) == PhotoFacts(name, 1, None)
    with pytest.raises(UserError, match=f"the picture is {name}; save it as PNG, JPEG, WebP or AVIF"):
        decode(content)


def test_quarantine_names_the_format_and_nothing_else():
    tables = sample(images=24)
    images, pictures = tables["images"].copy(), other_pictures()
    images["image"] = [*pictures.values(), *images["image"].iloc[len(pictures) :]]
    validated = validate({**tables, "images": images}, card(), ValidationConfig(max_quarantined=0.99))
    reasons = validated.quarantine["images"].set_index("image_id")["reason"]
    assert reasons.tolist() == [f"image is {name}; save it as PNG, JPEG, WebP or AVIF" for name in pictures]
    named = {name for *_, name in OTHER_FORMATS} | {"BMP", "SVG"}
    assert named == set(pictures), "every format that is known by name has its rule"


def mpo() -> bytes:
    """Two pictures in one JPEG, as phones write them: the first is red, the second blue."""
    stream = io.BytesIO()
    red, blue = (Image.new("RGB", (24, 16), colour) for colour in ("red", "blue"))
    exif = Image.Exif()
    exif[0x0112] = 6
    red.save(stream, format="MPO", save_all=True, append_images=[blue], exif=exif, quality=95)
    return stream.getvalue()


def test_of_a_phones_jpeg_with_two_pictures_the_first_is_read():
    assert Image.open(io.BytesIO(mpo())).format == "MPO"
    assert inspect(mpo()) == PhotoFacts("JPEG", 24 * 16, True)
    picture = decode(mpo())
    assert picture.shape == (24, 16, 3), "the camera's rotation is applied"
    assert picture[..., 0].min() > 240 and picture[..., 2].max() < 20
    assert header(mpo()) == (24, False)
    tables = sample()
    images = tables["images"].assign(image=[mpo()] * len(tables["images"]))
    assert not len(validate({**tables, "images": images}, card(), ValidationConfig()).quarantine["images"])


def test_an_mpo_cut_off_in_its_second_picture_is_whole():
    content = mpo()
    assert inspect(content[: content.rindex(b"\xff\xd8\xff") + 40]).image_decodes
    assert not inspect(content[: content.rindex(b"\xff\xd8\xff") // 2]).image_decodes


def test_facts_stand_on_the_index_of_their_images():
    facts = photo_facts(pd.Series([png(), b"x"], index=[5, 9]))
    assert facts.index.tolist() == [5, 9]
    assert facts["image_decodes"].tolist() == [True, False]
    assert len(photo_facts(pd.Series([], dtype=object))) == 0


def test_the_reviewed_rule_and_the_decoder_have_one_limit():
    (limit,) = (rule.kwargs["max_value"] for rule in read_suite("images").rules if rule.columns == ("image_pixels",))
    assert limit == MAX_PIXELS
