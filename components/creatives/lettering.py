"""Fit a line of English or Chinese into a box: wrap, then shrink, then cut with an ellipsis. It never overflows."""

import re
from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageFont

LONGEST = 300  # characters; no box of an ad holds more, and wrapping a whole page at every size would take seconds
CLOSING = "，。！？、；：）》」』…,.!?;:)%"  # marks that may not begin a line
ELLIPSIS = "…"
LEADING = 1.25  # line height in font sizes


@dataclass(frozen=True)
class Lettering:
    """Text broken into lines that fit: font size and line height in pixels, and the widest line's width."""

    lines: tuple[str, ...]
    size: int
    line_height: int
    width: int

    @property
    def height(self) -> int:
        """Pixels that the lines take."""
        return self.line_height * len(self.lines)


@lru_cache(maxsize=128)
def font(size: int) -> ImageFont.FreeTypeFont:
    """The packaged Noto Sans CJK, which has Latin and Chinese, at `size` pixels."""
    from cvttf_NotoSansCJK_Regular import get_TTF_path

    return ImageFont.truetype(get_TTF_path(), size, layout_engine=ImageFont.Layout.BASIC)


def fit_text(text: str, width: int, height: int, largest: int, smallest: int, most_lines: int = 3) -> Lettering:
    """The largest lettering of `text`, of `largest` down to `smallest` pixels, that fits `width` x `height` pixels.

    Text that does not fit at the smallest size is cut and ends with an ellipsis.
    """
    tokens = _tokens(printable(text))
    for size in range(largest, smallest - 1, -1):
        lines = wrap(tokens, width, size)
        allowed = min(most_lines, int(height // (size * LEADING)))
        # a word cut in two is worse than smaller letters
        if len(lines) <= allowed and not _splits_a_word(tokens, width, size):
            return _lettering(lines, size)
    allowed = max(1, min(most_lines, int(height // (smallest * LEADING))))
    lines = wrap(tokens, width, smallest)
    if len(lines) > allowed:
        lines = [*lines[: allowed - 1], _cut(lines[allowed - 1], width, smallest)]
    return _lettering(lines, smallest)


def wrap(tokens: list[str], width: int, size: int) -> list[str]:
    """Tokens -> lines no wider than `width`; a token wider than that is broken between characters."""
    lines, line = [], ""
    for token in tokens:
        if measure((line + token).rstrip(), size) <= width:
            line += token
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = token.lstrip()
        while measure(line.rstrip(), size) > width and len(line) > 1:
            fitting = _longest_prefix(line, width, size)
            lines.append(line[:fitting])
            line = line[fitting:]
    return [*lines, line.rstrip()] if line.strip() else lines


def measure(text: str, size: int) -> float:
    """Width of one line in pixels, with the half pixel that a bold stroke adds on either side."""
    return sum(_advance(sign, size) for sign in text) + 1.0 if text else 0.0


@lru_cache(maxsize=65536)
def _advance(sign: str, size: int) -> float:
    return font(size).getlength(sign)


def printable(text: str) -> str:
    """One line of what the font can draw: control characters become spaces, unknown signs (emoji) go."""
    flat = re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f]", " ", text[:LONGEST])).strip()
    cut = flat + ELLIPSIS if len(text) > LONGEST else flat
    return "".join(sign for sign in cut if _drawable(sign))


@lru_cache(maxsize=4096)
def _drawable(sign: str) -> bool:
    if sign.isspace():
        return True
    missing = font(20).getmask("\U0010ffff")
    drawn = font(20).getmask(sign)
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)


def _tokens(text: str) -> list[str]:
    """Words with the space after them; each Chinese sign alone, together with the closing marks that follow it."""
    pieces = re.findall(
        r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]|[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+\s*|\s+", text
    )
    tokens: list[str] = []
    for piece in pieces:
        if tokens and piece[0] in CLOSING:
            tokens[-1] += piece
        else:
            tokens.append(piece)
    return tokens


def _splits_a_word(tokens: list[str], width: int, size: int) -> bool:
    return any(measure(token.rstrip(), size) > width for token in tokens)


def _longest_prefix(line: str, width: int, size: int) -> int:
    used = 1.0  # the bold stroke, as in `measure`
    for length, sign in enumerate(line):
        used += _advance(sign, size)
        if used > width:
            return max(1, length)
    return len(line)


def _cut(line: str, width: int, size: int) -> str:
    kept = line
    while kept and measure(kept + ELLIPSIS, size) > width:
        kept = kept[:-1].rstrip()
    return kept + ELLIPSIS


def _lettering(lines: list[str], size: int) -> Lettering:
    widest = max((measure(line, size) for line in lines), default=0.0)
    return Lettering(tuple(lines), size, int(size * LEADING), int(widest + 0.5))
