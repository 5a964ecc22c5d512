import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from components.contract.validation.frame_sizes import SEQUENCE_HEADER, avif_pixels, webp_size
from components.contract.validation.image_headers import NOT_A_PICTURE, PhotoFacts, inspect
from components.images import decode, decode_all, encode_png, shape_of
from components.settings.errors import UserError

# how a photo is saved so that its pixels stay, and by how many grey levels they may differ
KINDS = {
    "PNG": ({}, 0),
    "WEBP": ({"lossless": True, "exact": True}, 0),
    "JPEG": ({"quality": 100, "subsampling": 0}, 4),
    "AVIF": ({"quality": 100, "subsampling": "4:4:4", "speed": 10}, 4),
}
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def saved(array, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=kind, **options)
    return stream.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(side):
    """A valid PNG header that declares side x side pixels, followed by almost nothing."""
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


def quarters(height=24, width=40, colours=(RED, GREEN, BLUE, YELLOW)):
    """uint8 [height, width, 3] with a colour in each quarter: top left, top right, bottom left, bottom right."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = colours[:2]
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = colours[2:]
    return picture


# EXIF orientation -> how the stored pixels are turned to be upright (EXIF 2.32, table 6)
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_its_pixels_upright(kind, orientation):
    options, error = KINDS[kind]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = quarters()
    decoded = decode(saved(stored, kind=kind, exif=exif.tobytes(), **options))
    due = TURNS[orientation](stored)
    assert decoded.shape == due.shape == shape_of(saved(stored, kind=kind, exif=exif.tobytes(), **options))
    assert np.abs(decoded.astype(int) - due).max() <= error


def xmp(orientation: int) -> bytes:
    """XMP data with this rotation and nothing else."""
    about = f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{about}</rdf:RDF></x:xmpmeta>'.encode()


def with_xmp(kind: str, orientation: int) -> bytes:
    options, _ = KINDS[kind]
    if kind != "PNG":
        return saved(quarters(), kind=kind, xmp=xmp(orientation), **options)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(orientation).decode())
    return saved(quarters(), pnginfo=info)


@pytest.mark.parametrize("orientation", [1, 3, 6, 9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_rotation_in_xmp_data_alone_is_applied(kind, orientation):
    content = with_xmp(kind, orientation)
    due = TURNS.get(orientation, TURNS[1])(quarters())
    assert shape_of(content) == decode(content).shape == due.shape
    assert np.abs(decode(content).astype(int) - due).max() <= KINDS[kind][1]


def test_a_rotation_behind_a_pngs_pixels_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(quarters())
    content = whole[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + whole[-12:]
    assert shape_of(content) == (40, 24, 3)
    assert np.array_equal(decode(content), TURNS[6](quarters()))


def camera_data(orientation: int, unit: tuple[int, int, int]) -> bytes:
    """EXIF data with a rotation and a ResolutionUnit of this type, count and value."""
    tags = struct.pack("<HHII", 0x0112, 3, 1, orientation) + struct.pack("<HHII", 0x0128, *unit)
    return b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(4)


@pytest.mark.parametrize("unit", [(2, 4, 0x41414141), (5, 1, 0), (5, 1, 8), (3, 2, 1), (7, 4, 5), (12, 1, 26)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_malformed_unit_of_resolution_does_not_stop_the_rotation(kind, unit):
    options, error = KINDS[kind]
    content = saved(quarters(), kind=kind, exif=camera_data(6, unit), **options)
    assert shape_of(content) == (40, 24, 3)
    assert np.abs(decode(content).astype(int) - TURNS[6](quarters())).max() <= error


@pytest.mark.parametrize("kind", KINDS)
def test_one_pixel_is_a_picture(kind):
    options, error = KINDS[kind]
    decoded = decode(saved(np.array([[[200, 10, 30]]], np.uint8), kind=kind, **options))
    assert decoded.shape == (1, 1, 3)
    assert np.abs(decoded.astype(int) - [200, 10, 30]).max() <= error


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_half_transparent_pixels_are_blended_with_white(kind):
    layered = np.zeros((16, 48, 4), np.uint8)
    layered[:, :16], layered[:, 16:32], layered[:, 32:] = (200, 0, 0, 255), (200, 0, 0, 51), (200, 0, 0, 0)
    options, error = KINDS[kind]
    decoded = decode(saved(layered, kind=kind, **options))[8, [8, 24, 40]].astype(int)
    # a fifth of (200, 0, 0) and four fifths of white
    assert np.abs(decoded - [[200, 0, 0], [244, 204, 204], [255, 255, 255]]).max() <= error + 1


@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), RED),
        ((255, 0, 255, 0), GREEN),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 128), (127, 127, 127)),
        ((51, 102, 0, 0), (204, 153, 255)),
    ],
)
def test_inks_of_a_printers_jpeg_become_light(ink, colour):
    stream = io.BytesIO()
    Image.new("CMYK", (16, 16), ink).save(stream, format="JPEG", quality=100, subsampling=0)
    decoded = decode(stream.getvalue()).astype(int)
    assert decoded.shape == (16, 16, 3)
    assert np.abs(decoded - colour).max() <= 2
    assert inspect(stream.getvalue()) == PhotoFacts("JPEG", 256, True)


def deep_png(colour_type: int, samples: list[int], *further: bytes) -> bytes:
    """A PNG of one line with 16 bits per sample."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    header = struct.pack(">IIBBBBB", len(samples) // channels, 1, 16, colour_type, 0, 0, 0)
    line = b"\0" + struct.pack(f">{len(samples)}H", *samples)
    parts = chunk(b"IHDR", header) + b"".join(further) + chunk(b"IDAT", zlib.compress(line)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (deep_png(0, [0, 257, 32896, 65535]), [[0], [1], [128], [255]]),
        (deep_png(0, [0, 32896], chunk(b"tRNS", struct.pack(">H", 0))), [[255], [128]]),
        (deep_png(2, [65535, 0, 0, 257, 32896, 65535]), [[255, 0, 0], [1, 128, 255]]),
        (deep_png(2, [65535, 0, 0, 0, 0, 0], chunk(b"tRNS", struct.pack(">HHH", 0, 0, 0))), [[255, 0, 0], [255] * 3]),
        (deep_png(4, [0, 65535, 0, 0]), [[0, 0, 0], [255, 255, 255]]),
        (deep_png(6, [65535, 0, 0, 65535, 0, 0, 0, 0]), [[255, 0, 0], [255, 255, 255]]),
    ],
    ids=["grey", "grey with a transparent one", "colour", "colour with a transparent one", "grey, alpha", "RGBA"],
)
def test_sixteen_bits_are_scaled_to_eight(content, pixels):
    assert decode(content)[0].tolist() == pixels


def test_a_palette_gives_its_colours():
    picture = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode="P")
    picture.putpalette([*RED, *GREEN, 7, 8, 9])
    stream = io.BytesIO()
    picture.save(stream, format="PNG", transparency=bytes([255, 51, 0]))
    assert decode(stream.getvalue())[0].tolist() == [[255, 0, 0], [204, 255, 204], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_of_a_film_the_first_picture_is_read(kind):
    stream = io.BytesIO()
    first, second = (Image.new("RGB", (12, 8), colour) for colour in (RED, BLUE))
    first.save(stream, format=kind, save_all=True, append_images=[second], lossless=True)
    assert (decode(stream.getvalue()) == RED).all()


@pytest.mark.parametrize("exif", [b"", b"II*\0\xff\xff\xff\xff", b"nonsense", b"MM\0*" + b"\x01" * 40])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_camera_data_do_not_cost_the_photo(kind, exif):
    options, error = KINDS[kind]
    content = saved(quarters(), kind=kind, exif=b"Exif\0\0" + exif, **options)
    decoded = decode(content)
    assert decoded.shape == shape_of(content)
    assert np.abs(decoded.astype(int) - quarters()).max() <= error


def noise(kind: str, side: int = 40) -> bytes:
    picture = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return saved(picture, kind=kind, **({"speed": 10} if kind == "AVIF" else {}))


@given(kind=st.sampled_from(sorted(KINDS)), share=st.floats(0, 0.9))
@settings(max_examples=80, deadline=None)
def test_a_picture_cut_off_anywhere_is_refused(kind, share):
    whole = WHOLE[kind]
    with pytest.raises(UserError, match="picture"):
        decode(whole[: int(share * len(whole))])
    assert not inspect(whole[: int(share * len(whole))]).image_decodes


WHOLE = {kind: noise(kind) for kind in KINDS}


@given(kind=st.sampled_from(sorted(KINDS)), data=st.data())
@settings(max_examples=300, deadline=None)
def test_changed_bytes_give_a_picture_or_one_sentence(kind, data):
    content = bytearray(WHOLE[kind])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    facts = inspect(bytes(content))
    try:
        decoded = decode(bytes(content))
    except UserError as error:
        assert "picture" in str(error)
        return
    assert decoded.dtype == np.uint8 and decoded.ndim == 3 and facts.image_decodes
    assert decoded.shape == shape_of(bytes(content))


@given(
    width=st.integers(1, 90), height=st.integers(1, 90), alpha=st.booleans(), kind=st.sampled_from(["AVIF", "WEBP"]),
    lossless=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_sizes_in_headers_are_those_that_were_saved(width, height, alpha, kind, lossless):
    random = np.random.default_rng(width * 100 + height)
    picture = random.integers(0, 256, (height, width, 4 if alpha else 3), dtype=np.uint8)
    if kind == "WEBP":
        assert webp_size(saved(picture, kind=kind, lossless=lossless)) == (width, height)
    else:
        assert avif_pixels(saved(picture, kind=kind, speed=10)) == width * height * (2 if alpha else 1)


def webp_bomb(side: int) -> bytes:
    canvas = (side - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + canvas
    body = b"WEBP" + extended + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def avif_bomb(side: int) -> bytes:
    """An AVIF that declares 10 x 10 pixels and codes a frame of side x side."""
    content = saved(np.full((side, side), 200, np.uint8), kind="AVIF", speed=10)
    declared = struct.pack(">II", side, side)
    assert content.count(declared) == 1
    return content.replace(declared, struct.pack(">II", 10, 10))


@pytest.mark.parametrize(
    "content",
    [webp_bomb(6_000), webp_bomb(1 << 24), saved(np.zeros((5_000, 8_000), np.uint8), kind="JPEG")],
    ids=["WebP of 36 megapixels", "WebP of 281 terapixels", "JPEG of 40 megapixels"],
)
def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(content, monkeypatch):
    def never(*arguments):
        raise AssertionError("opened or decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    monkeypatch.setattr("PIL._webp.WebPAnimDecoder", never)
    with pytest.raises(UserError, match=r"declares .* pixels, more than 25,000,000"):
        decode(content)
    facts = inspect(content)
    assert facts.image_pixels > 25_000_000 and not facts.image_decodes


def test_a_frame_larger_than_its_file_declares_is_refused_before_it_is_decoded(monkeypatch):
    small = avif_bomb(600)
    assert decode(small).shape[:2] == (10, 10), "libavif decodes the frame and scales it"
    assert avif_pixels(small) == 360_000

    monkeypatch.setattr("components.contract.validation.image_headers.MAX_CODED", 359_999)
    monkeypatch.setattr("PIL._avif.AvifDecoder", lambda *arguments: pytest.fail("opened"))
    with pytest.raises(UserError, match="the picture is too large: its frames have 360,000 pixels"):
        decode(small)
    assert not inspect(small).image_decodes


@pytest.mark.parametrize("major", [b"avif", b"mif1"])
@pytest.mark.parametrize("padding", [300, 5_000])
def test_an_avif_whose_brand_stands_behind_many_others_is_measured_too(major, padding, monkeypatch):
    bomb = padded(avif_bomb(600), major, padding)
    assert decode(bomb).shape[:2] == (10, 10) and inspect(bomb).image_format == "AVIF"

    monkeypatch.setattr("components.contract.validation.image_headers.MAX_CODED", 359_999)
    monkeypatch.setattr("PIL._avif.AvifDecoder", lambda *arguments: pytest.fail("opened"))
    with pytest.raises(UserError, match="the picture is too large: its frames have 360,000 pixels"):
        decode(bomb)
    assert not inspect(bomb).image_decodes


def padded(content: bytes, major: bytes, padding: int) -> bytes:
    """The AVIF with this major brand, and unknown brands before `avif` in its file type box."""
    (size,) = struct.unpack_from(">I", content)
    brands = major + bytes(4) + b"none" * (padding // 4) + b"avif" + content[16:size]
    grown = 8 + len(brands) - size
    changed = bytearray(struct.pack(">I4s", 8 + len(brands), b"ftyp") + brands + content[size:])
    start = changed.index(b"iloc") + 4
    (count,) = struct.unpack_from(">H", changed, start + 6)
    for item in range(count):
        place = start + 8 + item * 14 + 6
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", changed, place)[0] + grown)
    return bytes(changed)


def test_an_animated_avif_is_never_opened(monkeypatch):
    stream = io.BytesIO()
    first, second = (Image.new("RGB", (12, 8), colour) for colour in (RED, BLUE))
    first.save(stream, format="AVIF", save_all=True, append_images=[second], speed=10)
    monkeypatch.setattr("PIL._avif.AvifDecoder", lambda *arguments: pytest.fail("opened"))
    with pytest.raises(UserError, match="the picture is animated AVIF; save it as"):
        decode(stream.getvalue())
    assert inspect(stream.getvalue()) == PhotoFacts("animated AVIF", 1, None)


def sequence_header(bits: int, side: int) -> bytes:
    """An AV1 OBU with a sequence header that is not reduced, states side x side and has sizes of `bits` bits."""
    fields = [
        (0, 3), (1, 1), (0, 1),  # profile, still_picture, reduced_still_picture_header
        (0, 1), (0, 1), (0, 5), (0, 12), (0, 5),  # no timing, no delays, one operating point of level 0
        (bits - 1, 4), (bits - 1, 4), (side - 1, bits), (side - 1, bits), (0, 16),
    ]  # fmt: skip
    written = "".join(f"{value:0{width}b}" for value, width in fields)
    payload = int(written.ljust(-(-len(written) // 8) * 8, "0"), 2).to_bytes(-(-len(written) // 8), "big")
    return bytes([SEQUENCE_HEADER << 3 | 2, len(payload)]) + payload


def test_a_frame_header_may_state_any_size_that_its_fields_hold():
    """Only with a reduced sequence header are all frames of the size that it states."""
    content, header = saved(np.zeros((16, 16), np.uint8), kind="AVIF", speed=10), sequence_header(16, 10)
    boxed = content + struct.pack(">I4s", 8 + len(header), b"free") + header
    assert avif_pixels(_with_extents(boxed, len(content) + 8, len(header))) == 65536**2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_large_avif_photos_are_within_the_limit(mode):
    stream = io.BytesIO()
    Image.new(mode, (6000, 4000)).save(stream, format="AVIF", speed=10)
    assert shape_of(stream.getvalue())[:2] == (4000, 6000)


def test_an_avif_whose_items_share_their_bytes_is_refused():
    """A few bytes that many items name would be decoded many times."""
    content = saved(np.zeros((16, 16, 4), np.uint8), kind="AVIF", speed=10)
    assert avif_pixels(content) == 512
    with pytest.raises(ValueError, match="items overlap"):
        avif_pixels(_with_extents(content, 0, len(content)))


def _with_extents(content: bytes, at: int, size: int) -> bytes:
    """The AVIF with each item's extent in the box iloc (version 0, 4-byte fields) at this place and of this size."""
    start = content.index(b"iloc") + 4
    assert content[start : start + 6] == b"\0\0\0\0\x44\0", "version 0; offset and length of 4 bytes, no base"
    (count,) = struct.unpack_from(">H", content, start + 6)
    changed = bytearray(content)
    for item in range(count):
        struct.pack_into(">II", changed, start + 8 + item * 14 + 6, at, size)
    return bytes(changed)


@pytest.mark.parametrize("content", [b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X", b"\0\0\0\x1cftypavif" + bytes(40)])
def test_a_header_alone_is_a_damaged_picture(content):
    with pytest.raises(UserError, match="the picture is damaged"):
        decode(content)
    facts = inspect(content)
    assert facts.image_format in ("WebP", "AVIF") and not facts.image_decodes and facts != NOT_A_PICTURE
