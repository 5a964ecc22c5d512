"""The encoding of a text file, found from all of its bytes; UserError where it cannot be told."""

import codecs
import re
from collections.abc import Callable
from typing import BinaryIO

from components.settings.errors import UserError

BLOCK = 1 << 20
SAMPLE = 1 << 16  # bytes around the first one that is not UTF-8
LEGACY = {"gb18030": "GB 18030", "cp1252": "Windows-1252"}  # found from the letters; a person should look at them
MARKS = {  # the longer mark first: UTF-32 begins as UTF-16 does
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ENOUGH = 0.95  # share of the letters of a sample that must be as common as the encoding makes them
CHINESE = re.compile(rb"[\xa1-\xa9\xb0-\xd7][\xa1-\xfe]")  # signs and the 3,755 most common characters of GB 2312
PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
LATIN = frozenset("äöüÄÖÜßéèêëàâáãåçñíìîïóòôõøúùûýÿæœÉÈÀÁÂÃÅÇÑÍÓÔÕØÚ€£§°«»“”„‘’–—…\xa0")


def encoding_of(opened: Callable[[], BinaryIO], place: str) -> str:
    """The Python name of the encoding of the bytes that `opened()` gives; `place` names them in messages.

    A byte order mark decides; else UTF-8 where all bytes are, UTF-16 where every other byte is zero; else GB 18030
    or Windows-1252 where the letters are the common ones of either. Other encodings cannot be told apart surely.
    """
    with opened() as stream:
        head = stream.read(4096)
        for mark, name in MARKS.items():
            if head.startswith(mark):
                return name
        wide = _utf_16(head)
        if wide:
            return wide
        if b"\0" in head:
            raise UserError(f"{place}: this is no text file: it has zero bytes; CSV, Excel, Parquet or JSON lines are")
        foreign = _first_foreign(stream, head)
    return "utf-8" if foreign is None else _legacy(foreign, place)


def _utf_16(head: bytes) -> str | None:
    even, odd = head[0::2], head[1::2]
    if len(odd) < 8:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def _first_foreign(stream: BinaryIO, head: bytes) -> bytes | None:
    """Some bytes from the first block that is not UTF-8; None where all of the stream is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    block, last = head, b""
    while block:
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            around = last[-SAMPLE:] + block
            start = max(len(around) - len(block) + error.start - SAMPLE // 2, 0)
            return around[start:] + stream.read(SAMPLE)
        block, last = stream.read(BLOCK), block
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return last[-SAMPLE:]
    return None


def _legacy(sample: bytes, place: str) -> str:
    """The encoding of bytes that are not UTF-8."""
    pairs = PAIR.findall(sample)
    common = sum(CHINESE.fullmatch(pair) is not None for pair in pairs)
    high = sum(byte > 0x7F for byte in sample)
    if pairs and common >= ENOUGH * len(pairs) and 2 * len(pairs) >= ENOUGH * high:
        return "gb18030"
    latin = [letter for letter in sample.decode("cp1252", "replace") if letter > "\x7f"]
    if sum(letter in LATIN for letter in latin) >= ENOUGH * len(latin):
        return "cp1252"
    raise UserError(f"{place}: its encoding cannot be told; save it as UTF-8")
