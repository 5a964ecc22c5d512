"""The preview of a design: examples in every size, with the refusals of the pixel rules."""

import json
from io import BytesIO

import pytest
from click.testing import CliRunner
from PIL import Image

from components import cli
from components.ads.design_preview import EXAMPLES, FRAME, GAP, SHEET_HEIGHT, example_photo, preview, preview_sheet
from components.ads.rendering.ad_sizes import AD_SIZES
from components.ads.rendering.designs import designs, read_design
from components.images import encode_png

SMALL = [AD_SIZES[name] for name in ("300x250", "728x90", "320x50")]
# a design in which the headline lies on the photo
ON_PHOTO = """
near square: &layout
  - {draw: picture, box: [0, 0, 1000, 1000]}
  - {draw: text, of: headline, box: [100, 300, 900, 700]}
  - {draw: button, of: call_to_action, box: [50, 800, 950, 990]}
wide: *layout
strip: *layout
tall: *layout
column: *layout
"""


@pytest.mark.parametrize("template", designs())
def test_the_designs_that_come_with_adloom_draw_every_example_in_the_common_sizes(template):
    ads = preview(designs()[template], example_photo(), sizes=SMALL)
    assert [(ad.example, ad.size) for ad in ads] == [(name, size.name) for name in EXAMPLES for size in SMALL]
    assert {ad.file_name: ad.refused for ad in ads if ad.refused} == {}
    for ad, size in zip(ads, SMALL * len(EXAMPLES), strict=True):
        assert Image.open(BytesIO(ad.png)).size == (size.width, size.height)


def test_the_sheet_frames_what_would_be_refused():
    ads = preview(read_design(ON_PHOTO, "on-photo.yaml"), example_photo(), sizes=SMALL[:1])
    assert all(ad.refused == "has a text on the product in 300x250" for ad in ads)
    sheet = Image.open(BytesIO(preview_sheet(ads)))
    assert sheet.size == (300 + 2 * FRAME, len(EXAMPLES) * (SHEET_HEIGHT + 2 * FRAME + GAP) - GAP)
    assert sheet.getpixel((0, 0)) == (0xC6, 0x28, 0x28)


@pytest.fixture
def small_sizes(monkeypatch):
    from components.ads import design_preview

    monkeypatch.setattr(design_preview.preview, "__defaults__", (None, SMALL))


def called(*arguments: str):
    cli._collect()
    return CliRunner().invoke(cli.adloom, ["creatives", "preview", *arguments])


def test_the_command_writes_the_ads_and_names_what_would_be_refused(tmp_path, small_sizes):
    design, photo, out = tmp_path / "mine.yaml", tmp_path / "photo.png", tmp_path / "out"
    design.write_text(ON_PHOTO)
    photo.write_bytes(encode_png(example_photo()))
    result = called(str(design), "--out", str(out), "--photo", str(photo), "--palette", "warm")
    assert result.exit_code == 1
    assert "en-300x250.png: has a text on the product in 300x250" in result.output
    assert f"{3 * len(EXAMPLES)} ads in {out}, {3 * len(EXAMPLES)} of which would be refused" in result.output
    files = {file.name for file in out.iterdir()}
    assert files == {"preview.png", *(f"{name}-{size.name}.png" for name in EXAMPLES for size in SMALL)}


def test_as_json_each_ad_has_its_refusal(tmp_path, small_sizes):
    design = tmp_path / "mine.yaml"
    design.write_text(ON_PHOTO.replace("[100, 300, 900, 700]", "[100, 300, 900, 310]"))
    rows = json.loads(called(str(design), "--out", str(tmp_path / "out"), "--json").output)
    assert len(rows) == 3 * len(EXAMPLES) and all(row["refused"] for row in rows)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("near square: [", (), "is no YAML"),
        (ON_PHOTO.replace("picture", "photograph"), (), "draw"),
        (ON_PHOTO, ("--palette", "neon"), "no palette is called 'neon'; there are"),
        (b"\xff\xfe\x00", (), "is no text in UTF-8"),
        (ON_PHOTO, ("--photo", "PHOTO"), "no photo.png"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, content, options, message):
    design, photo = tmp_path / "mine.yaml", tmp_path / "no photo.png"
    design.write_bytes(content if isinstance(content, bytes) else content.encode())
    photo.write_bytes(b"this is no image")
    given = [str(photo) if option == "PHOTO" else option for option in options]
    result = called(str(design), "--out", str(tmp_path / "out"), *given)
    assert result.exit_code == 1 and message in result.output and "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
