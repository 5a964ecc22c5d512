"""Fit text into a box: wrap it, then shrink it, then cut it with an ellipsis, without overflow or broken letters."""

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

import regex
from PIL import ImageDraw, ImageFont

from components.ads.rendering.typefaces import CJK, JOINERS, SHAPED, VARIANTS, is_cjk, is_right_to_left, load, pieces
from components.ads.rendering.typefaces import undrawable as _undrawable
from components.settings.errors import UserError

MAX_CHARACTERS = 300  # no ad has room for more, and wrapping a page of text at every size takes seconds
CLOSING = "，。！？、；：）》」』…,.!?;:)%"  # marks that may not begin a line
ELLIPSIS = "…"
LEADING, TALL_LEADING = 1.25, 1.55  # line height in font sizes; the second for scripts with marks above and below


@dataclass(frozen=True)
class Lettering:
    """Text in lines that fit, with font size, line height and the widest line's width in pixels.

    plain: set in Noto Sans CJK only; cut: the text is not shown whole, and ends with an
    ellipsis, or one of its words is broken.
    """

    lines: tuple[str, ...]
    size: int
    line_height: int
    width: int
    plain: bool = True
    right_to_left: bool = False
    cut: bool = False

    def line_width(self, line: str) -> float:
        """Width of one of the lines in pixels, without the stroke."""
        if self.plain:
            return font(self.size).getlength(line)
        return sum(piece.width(self.size) for piece in pieces(line, self.right_to_left))

    def draw(self, pen: ImageDraw.ImageDraw, place: tuple[float, float], line: str, fill, stroke: float = 0) -> None:
        """Draw one of the lines; `place` is the left end of its ascender line."""
        if self.plain:
            pen.text(place, line, fill, font(self.size), stroke_width=stroke)
            return
        across, base = place[0], place[1] + font(self.size).getmetrics()[0]
        for piece in pieces(line, self.right_to_left):
            piece_font = piece.font(self.size)
            pen.text((across, base), piece.text, fill, piece_font, anchor="ls", stroke_width=stroke, **piece.options())
            across += piece.width(self.size)

    @property
    def height(self) -> int:
        """Height of all lines in pixels."""
        return self.line_height * len(self.lines)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The packaged font Noto Sans CJK, for English and Chinese, at `size` pixels."""
    return load(CJK, size)


def fit_text(text: str, width: int, height: int, largest: int, smallest: int, *, most_lines: int = 3) -> Lettering:
    """The largest lettering of `text`, from `largest` down to `smallest` pixels, that fits `width` x `height` pixels.

    Text that does not fit at the smallest size is cut and ends with an ellipsis. UserError names characters that no
    font has.
    """
    line = printable(text)
    tokens, leading = _tokens(line), _leading(line)
    for size in range(largest, smallest - 1, -1):
        lines = wrap(tokens, width, size)
        allowed = min(most_lines, int(height // (size * leading)))
        # smaller letters are better than a broken word
        if len(lines) <= allowed and not _splits_a_word(tokens, width, size):
            return _lettering(lines, size, line)
    allowed = max(1, min(most_lines, int(height // (smallest * leading))))
    lines = wrap(tokens, width, smallest)
    cut = len(text) > MAX_CHARACTERS or _splits_a_word(tokens, width, smallest)
    if len(lines) > allowed:
        lines, cut = [*lines[: allowed - 1], _cut(lines[allowed - 1], width, smallest)], True
    return replace(_lettering(lines, smallest, line), cut=cut)


def wrap(tokens: list[str], width: int, size: int) -> list[str]:
    """The tokens in lines of at most `width`; a wider token is broken between characters."""
    plain, lines, line = is_cjk("".join(tokens)), [], ""
    for token in tokens:
        if measure((line + token).rstrip(), size, plain) <= width:
            line += token
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = token.lstrip()
        while measure(line.rstrip(), size, plain) > width and len(line) > 1:
            fitting = _longest_prefix(line, width, size, plain)
            lines.append(line[:fitting])
            line = line[fitting:]
    return [*lines, line.rstrip()] if line.strip() else lines


def measure(text: str, size: int, plain: bool | None = None) -> float:
    """Width of one line in pixels, with half a pixel on either side for the bold stroke.

    plain: whether it is set in Noto Sans CJK only; None: if that font has all its characters.
    """
    if not text:
        return 0.0
    if is_cjk(text) if plain is None else plain:
        return sum(_advance(sign, size) for sign in text) + 1.0
    return sum(piece.width(size) for piece in pieces(text, is_right_to_left(text))) + 1.0


@lru_cache(maxsize=65536)
def _advance(sign: str, size: int) -> float:
    return font(size).getlength(sign)


def printable(text: str) -> str:
    """The text as one line, with spaces for control characters; UserError names characters that no font has."""
    reason = undrawable(text)
    if reason is not None:
        raise UserError(f"the text {text[:MAX_CHARACTERS]!r} cannot be drawn: {reason}")
    return _flat(text)


def spelled(text: str) -> str:
    """The text with code points in place of characters that no font has, for labels."""
    return "".join(f"U+{ord(sign):04X}" if undrawable(sign) else sign for sign in text)


def undrawable(text: str) -> str | None:
    """Why `printable` refuses the text; None if it does not."""
    return _undrawable(_flat(text))


def _flat(text: str) -> str:
    """The text as one line, in NFC, without characters that have no shape, cut after MAX_CHARACTERS."""
    short = unicodedata.normalize("NFC", text[:MAX_CHARACTERS])
    visible = "".join(sign for sign in short if sign in JOINERS or unicodedata.category(sign) != "Cf")
    flat = re.sub(r"\s+", " ", re.sub(rf"[\x00-\x1f\x7f{VARIANTS}]", " ", visible)).strip()
    return flat + ELLIPSIS if len(text) > MAX_CHARACTERS else flat


def _leading(line: str) -> float:
    return (
        LEADING
        if is_cjk(line) or not any(piece.face in SHAPED for piece in pieces(line, is_right_to_left(line)))
        else TALL_LEADING
    )


def _tokens(text: str) -> list[str]:
    """Words with the space after them, and single Chinese characters, each with the closing marks after it."""
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
    plain = is_cjk("".join(tokens))
    return any(measure(token.rstrip(), size, plain) > width for token in tokens)


def _longest_prefix(line: str, width: int, size: int, plain: bool) -> int:
    """The number of characters of the line that fit, at least one; marks stay with their letters."""
    ends = range(1, len(line) + 1)
    if not plain:
        ends = [match.end() for match in regex.finditer(r"\X", line)]
    used = 1.0  # the bold stroke, as in `measure`
    for before, end in zip([0, *ends], ends, strict=False):
        used = used + _advance(line[before], size) if plain else measure(line[:end], size, plain)
        if used > width:
            return max(ends[0], before)
    return len(line)


def _cut(line: str, width: int, size: int) -> str:
    plain, short = is_cjk(line), line
    while short and measure(short + ELLIPSIS, size, plain) > width:
        short = short[:-1].rstrip() if plain else regex.sub(r"\X\Z", "", short).rstrip()
    return short + ELLIPSIS


def _lettering(lines: list[str], size: int, whole: str) -> Lettering:
    plain = is_cjk(whole)
    widest = max((measure(line, size, plain) for line in lines), default=0.0)
    height = int(size * _leading(whole))
    return Lettering(tuple(lines), size, height, int(widest + 0.5), plain, is_right_to_left(whole))
