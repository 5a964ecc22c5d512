"""The pixels that decoding a WebP or AVIF image takes, read from its headers without a decoder.

libwebp allocates a WebP's canvas when a file is opened. libavif decodes an AVIF's frames at their own size, which may
be far above the size that the file declares, and scales them. So both sizes are needed before Pillow opens a file.

Sources: WebP container specification (RFC 9649); ISO/IEC 14496-12 and 23008-12 (boxes and items of HEIF); AV1 bitstream
specification, sections 5.3 to 5.5 (OBUs and the sequence header).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE_HEADER = 1  # type of the OBU that states the largest frame
CODED = b"av01"  # items with AV1 data; others are grids of such items, or metadata


def is_webp(content: bytes) -> bool:
    """Whether the bytes begin as a WebP."""
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def is_avif(content: bytes) -> bool:
    """Whether the bytes begin as an AVIF still image: the brand `avif` is among those of its file type box."""
    if not has_file_type(content) or content[8:12] == b"avis":
        return False
    end = min(int.from_bytes(content[:4], "big") or len(content), len(content))  # 0: to the end of the file
    return any(content[at : at + 4] == b"avif" for at in range(8, end, 4))


def has_file_type(content: bytes) -> bool:
    """Whether the bytes begin with a file type box, as AVIF, HEIC and films do; libavif opens no others."""
    return content[4:8] == b"ftyp"


def webp_size(content: bytes) -> tuple[int, int]:
    """(width, height) of a WebP's canvas; ValueError if the header is damaged."""
    kind, header = content[12:16], content[20:30]
    try:
        if kind == b"VP8X":
            return 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:10], "little")
        if kind == b"VP8L" and header[0] == 0x2F:
            bits = int.from_bytes(header[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if kind == b"VP8 " and header[3:6] == b"\x9d\x01\x2a":
            width, height = struct.unpack("<HH", header[6:10])
            return width & 0x3FFF, height & 0x3FFF
    except (struct.error, IndexError):
        pass
    raise ValueError("the header of the WebP is damaged")


def avif_pixels(content: bytes) -> int:
    """Pixels of all frames that an AVIF still image codes: of its colours, transparency, tiles and thumbnails.

    ValueError if the boxes are damaged, or of a kind that no still image needs.
    """
    try:
        boxes = dict(_boxes(content, 0, len(content)))
        if b"moov" in boxes or b"meta" not in boxes:
            raise ValueError("the AVIF is a film, or has no image")
        start, end = boxes[b"meta"]
        meta = dict(_boxes(content, start + 4, end))
        kinds = _item_kinds(content, *meta[b"iinf"])
        places = _item_places(content, *meta[b"iloc"], meta.get(b"idat", (0, 0))[0])
        coded = [extents for number, extents in places if kinds.get(number) == CODED]
        if sum(size for extents in coded for _, size in extents) > len(content):
            raise ValueError("the AVIF's items overlap")  # few bytes that are decoded many times
        pixels = sum(_frame_pixels(b"".join(content[at : at + size] for at, size in parts)) for parts in coded)
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError(f"the AVIF is damaged: {error}") from None
    if not pixels:
        raise ValueError("the AVIF has no image")
    return pixels


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Type and place of the content of each box between two places; a repeated box is a ValueError."""
    seen: set[bytes] = set()
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
            head = 16
        size = size or end - at
        if size < head or at + size > end or (kind in seen and kind in (b"meta", b"iinf", b"iloc", b"idat")):
            raise ValueError("the AVIF's boxes do not fit")
        seen.add(kind)
        yield kind, (at + head, at + size)
        at += size


def _item_kinds(content: bytes, start: int, end: int) -> dict[int, bytes]:
    """Number -> type of each item in the box `iinf`."""
    first = start + (6 if content[start] == 0 else 8)
    kinds = {}
    at = first
    while at + 8 <= end:
        (size,) = struct.unpack_from(">I", content, at)
        version = content[at + 8]
        if size < 20 or version not in (2, 3):
            raise ValueError("the AVIF's items are damaged")
        number, kind = struct.unpack_from(">H2x4s" if version == 2 else ">I2x4s", content, at + 12)
        kinds[number] = kind
        at += size
    return kinds


def _item_places(content: bytes, start: int, end: int, data: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Number of each item in the box `iloc`, and (place, size) of its parts; `data`: the place of the box `idat`."""
    read = _Fields(content[:end], start)
    version, widths = read.number(4) >> 24, read.number(2)
    offset, length, base, index = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    for _ in range(read.number(2 if version < 2 else 4)):
        number = read.number(2 if version < 2 else 4)
        within = read.number(2) & 15 if version else 0
        read.number(2)
        begin = read.number(base) + (data if within == 1 else 0)
        extents = []
        for _ in range(read.number(2)):
            if version:
                read.number(index)
            extents.append((begin + read.number(offset), read.number(length)))
        if within > 1 or any(size == 0 or at + size > len(content) for at, size in extents):
            raise ValueError("the AVIF's items do not fit")
        yield number, extents


@dataclass
class _Fields:
    """Big-endian numbers, one after the other."""

    content: bytes
    at: int

    def number(self, width: int) -> int:
        if self.at + width > len(self.content):
            raise ValueError("the AVIF's items do not fit")
        self.at += width
        return int.from_bytes(self.content[self.at - width : self.at], "big")


def _frame_pixels(data: bytes) -> int:
    """Pixels of the largest frame that a sequence header in AV1 data allows; ValueError without such a header."""
    largest, at = 0, 0
    while at < len(data):
        head = data[at]
        at += 2 if head & 4 else 1  # with an extension
        size, at = _obu_size(data, at) if head & 2 else (len(data) - at, at)
        if head >> 3 & 15 == SEQUENCE_HEADER:
            width, height = _largest_frame(data[at : at + size])
            largest = max(largest, width * height)
        at += size
    if not largest:
        raise ValueError("the AVIF states no frame size")
    return largest


def _obu_size(data: bytes, at: int) -> tuple[int, int]:
    """The size of an OBU, a LEB128 number, and the place after it."""
    size = 0
    for place in range(8):
        size |= (data[at + place] & 0x7F) << 7 * place
        if not data[at + place] & 0x80:
            return size, at + place + 1
    raise ValueError("the AVIF's data are damaged")


def _largest_frame(header: bytes) -> tuple[int, int]:
    """(width, height) of the largest frame that a sequence header OBU allows (AV1, section 5.5.1).

    Without a reduced header, a frame's own header may state any size that its fields hold (section 5.9.5).
    """
    read = _Bits(int.from_bytes(header, "big"), 8 * len(header))
    read.take(4)  # profile, still_picture
    reduced = read.take(1)  # reduced_still_picture_header
    if reduced:
        read.take(5)
    else:
        if read.take(1):  # timing_info_present_flag
            raise ValueError("the AVIF has the timing of a film")
        delays = read.take(1)
        for _ in range(1 + read.take(5)):
            read.take(12)
            if read.take(5) > 7:  # level
                read.take(1)
            if delays and read.take(1):
                read.take(4)
    bits = 1 + read.take(4), 1 + read.take(4)
    if not reduced:
        return 1 << bits[0], 1 << bits[1]
    return 1 + read.take(bits[0]), 1 + read.take(bits[1])


@dataclass
class _Bits:
    """Bits of a number, from the highest on; `left` of them are not taken yet."""

    value: int
    left: int

    def take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("the AVIF's sequence header is cut off")
        self.left -= count
        return self.value >> self.left & (1 << count) - 1
