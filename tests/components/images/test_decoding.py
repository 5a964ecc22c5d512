import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.images import decode, decode_all, encode_png, shape_of
from components.settings.errors import UserError


def saved(array, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=kind, **options)
    return stream.getvalue()


def bomb(side):
    """A valid PNG header that declares side x side pixels, followed by almost nothing."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("shape", [(5, 7, 1), (5, 7, 3), (1, 1, 1)])
def test_png_returns_the_pixels_that_were_encoded(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decode(encode_png(picture)), picture)
    assert encode_png(picture) == encode_png(picture.copy())


def test_jpeg_is_close_to_its_source():
    ramp = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)
    decoded = decode(saved(ramp, kind="JPEG", quality=95))
    assert decoded.shape == (32, 32, 1)
    assert np.abs(decoded[..., 0].astype(int) - ramp).mean() < 3


def test_transparency_is_laid_on_white():
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    assert decode(saved(clear)).tolist() == np.full((4, 4, 3), 255).tolist()


def test_sixteen_bit_grey_keeps_its_range():
    wide = np.array([[0, 65535], [32896, 257]], dtype=np.uint16)
    assert decode(saved(wide))[..., 0].tolist() == [[0, 255], [128, 1]]


@pytest.mark.parametrize("grey", [False, True])
def test_a_transparent_colour_of_a_palette_is_laid_on_white(grey):
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 90, 90, 90] if grey else [0, 0, 0, 200, 10, 30])
    stream = io.BytesIO()
    picture.save(stream, format="PNG", transparency=0)
    assert decode(stream.getvalue()).tolist() == [[[255, 255, 255], [90, 90, 90] if grey else [200, 10, 30]]]


def test_a_camera_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(np.zeros((10, 20), dtype=np.uint8), kind="JPEG", exif=exif)).shape == (20, 10, 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
def test_the_header_tells_the_shape_of_what_is_decoded(mode):
    stream = io.BytesIO()
    Image.new(mode, (20, 10)).save(stream, format="PNG")
    assert shape_of(stream.getvalue()) == decode(stream.getvalue()).shape
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        turned = saved(np.zeros((10, 20, 3), dtype=np.uint8), kind="JPEG", exif=exif)
        assert shape_of(turned) == decode(turned).shape


@pytest.mark.parametrize("content", [b"", b"not a picture", b"GIF89a" + b"\0" * 40, None])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(UserError):
        decode(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture_is_refused(kind):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(noise, kind=kind)
    with pytest.raises(UserError, match="damaged"):
        decode(whole[: len(whole) // 2])


@pytest.mark.parametrize("side", [6_000, 60_000])
def test_a_decompression_bomb_is_refused_before_a_pixel_is_decoded(side, monkeypatch):
    def no_decoding(image):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", no_decoding)
    with pytest.raises(UserError, match=r"declares|too large"):
        decode(bomb(side))


def test_mixed_sizes_and_channels_become_one_array():
    pictures = [np.full((28, 28, 1), 9, np.uint8), np.full((1, 1, 1), 7, np.uint8), np.full((50, 20, 3), 200, np.uint8)]
    table = pd.DataFrame({"image_id": ["a", "b", "c"], "image": [encode_png(picture) for picture in pictures]})
    grey = decode_all(table, 28, 1)
    assert grey.shape == (3, 28, 28, 1)
    assert [int(np.median(picture)) for picture in grey] == [9, 7, 200]
    assert decode_all(table, (32, 24), 3).shape == (3, 32, 24, 3)


def test_the_image_at_fault_is_named():
    table = pd.DataFrame({"image_id": ["fine", "broken"], "image": [encode_png(np.zeros((2, 2), np.uint8)), b"x"]})
    with pytest.raises(UserError, match="image_id broken"):
        decode_all(table, 8, 1)
