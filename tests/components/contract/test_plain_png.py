"""The quick look at plain PNGs says what Pillow says, or nothing."""

import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.contract.validation.image_headers import MAX_PIXELS, PhotoFacts, inspect, photo_facts
from components.contract.validation.plain_png import BEGINS, plain_png
from components.simulator.photos.product_photos import encode_png
from tests.components.contract.samples import bomb, png

SIGNATURE = BEGINS[:8]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def made(header: tuple = (3, 2, 8, 0, 0, 0, 0), lines: bytes = b"\0abc\0def", *further: bytes) -> bytes:
    """A PNG of 3 x 2 pixels from its parts."""
    packed = zlib.compress(lines)
    return (
        SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
        + b"".join(further)
        + chunk(b"IDAT", packed[:5])
        + chunk(b"IDAT", packed[5:])
        + chunk(b"IEND", b"")
    )


def agrees(content: bytes) -> None:
    found = plain_png(content, MAX_PIXELS)
    assert found is None or PhotoFacts("PNG", found[1], True) == inspect(content)


@pytest.mark.parametrize(
    "content", [png(), png(mode="RGB"), png(mode="RGBA", size=(9, 70)), encode_png(np.eye(28, dtype=np.uint8)), made()]
)
def test_plain_pictures_are_taken_and_are_what_pillow_says(content):
    assert plain_png(content, MAX_PIXELS) is not None
    agrees(content)


@pytest.mark.parametrize(
    "content",
    [
        png(kind="JPEG"),
        bomb(60_000, 60_000),
        png()[:-1],
        png() + b"x",
        made((3, 2, 16, 0, 0, 0, 0)),
        made((3, 2, 8, 3, 0, 0, 0)),
        made((3, 2, 8, 0, 0, 0, 1)),
        made((0, 2, 8, 0, 0, 0, 0)),
        made((3, 2, 8, 0, 0, 0, 0), b"\x05abc\0def"),
        made((3, 2, 8, 0, 0, 0, 0), b"\0abc\0de"),
        made((3, 2, 8, 0, 0, 0, 0), b"\0abc\0defg"),
        made((3, 2, 8, 0, 0, 0, 0), b"\0abc\0def", chunk(b"tEXt", b"a\0b")),
        made((3, 2, 8, 0, 0, 0, 0), b"\0abc\0def", chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))),
        made()[:8],
        made()[:40],
        None,
        b"",
    ],
)
def test_the_rest_is_left_to_pillow(content):
    assert plain_png(content, MAX_PIXELS) is None


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_change_of_bytes_makes_it_disagree_with_pillow(data):
    whole = bytearray(data.draw(st.sampled_from([made(), png(size=(4, 5)), png(mode="RGB", size=(3, 3))])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for content in (bytes(whole), bytes(whole[:cut])):
        agrees(content)


HEADERS = st.tuples(
    *[st.integers(0, 5)] * 2, st.sampled_from([1, 2, 8, 16]), st.sampled_from([0, 2, 3, 4, 6]), *[st.integers(0, 1)] * 3
)


@settings(max_examples=200, deadline=None)
@given(HEADERS, st.binary(max_size=40))
def test_no_header_makes_it_disagree_with_pillow(header, lines):
    agrees(made(header, lines))


def test_the_facts_of_a_table_are_those_of_pillow_alone(monkeypatch):
    stream = io.BytesIO()
    Image.new("P", (4, 4)).save(stream, format="PNG")
    images = pd.Series([png(), png(mode="RGB"), png(kind="JPEG"), stream.getvalue(), b"x", png()[:50], None])
    quick = photo_facts(images)
    monkeypatch.setattr("components.contract.validation.image_headers.plain_png", lambda *_: None)
    pd.testing.assert_frame_equal(photo_facts(images), quick)
