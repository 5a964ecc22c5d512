"""Fit a line of text into a box: wrap, then shrink, then cut with an ellipsis. It never overflows or loses a letter."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import regex
from PIL import ImageDraw, ImageFont

from components.ads.typefaces import CJK, JOINERS, SHAPED, VARIANTS, is_cjk, is_right_to_left, load, pieces
from components.ads.typefaces import undrawable as _undrawable
from components.settings.errors import UserError

LONGEST = 300  # characters; no box of an ad holds more, and wrapping a whole page at every size would take seconds
CLOSING = "，。！？、；：）》」』…,.!?;:)%"  # marks that may not begin a line
ELLIPSIS = "…"
LEADING, TALL_LEADING = 1.25, 1.55  # line height in font sizes; the second for scripts with marks above and below


@dataclass(frozen=True)
class Lettering:
    """Text broken into lines that fit: font size and line height in pixels, and the widest line's width."""

    lines: tuple[str, ...]
    size: int
    line_height: int
    width: int
    plain: bool = True  # set in Noto Sans CJK alone
    right_to_left: bool = False

    def line_width(self, line: str) -> float:
        """Pixels that one of the lines takes, without the stroke."""
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
            own = piece.font(self.size)
            pen.text((across, base), piece.text, fill, own, anchor="ls", stroke_width=stroke, **piece.options())
            across += piece.width(self.size)

    @property
    def height(self) -> int:
        """Pixels that the lines take."""
        return self.line_height * len(self.lines)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The packaged Noto Sans CJK, which has English and Chinese, at `size` pixels."""
    return load(CJK, size)


def fit_text(text: str, width: int, height: int, largest: int, smallest: int, most_lines: int = 3) -> Lettering:
    """The largest lettering of `text`, of `largest` down to `smallest` pixels, that fits `width` x `height` pixels.

    Text that does not fit at the smallest size is cut and ends with an ellipsis. Raises UserError naming each sign that
    no font has.
    """
    line = printable(text)
    tokens, leading = _tokens(line), _leading(line)
    for size in range(largest, smallest - 1, -1):
        lines = wrap(tokens, width, size)
        allowed = min(most_lines, int(height // (size * leading)))
        # a word cut in two is worse than smaller letters
        if len(lines) <= allowed and not _splits_a_word(tokens, width, size):
            return _lettering(lines, size, line)
    allowed = max(1, min(most_lines, int(height // (smallest * leading))))
    lines = wrap(tokens, width, smallest)
    if len(lines) > allowed:
        lines = [*lines[: allowed - 1], _cut(lines[allowed - 1], width, smallest)]
    return _lettering(lines, smallest, line)


def wrap(tokens: list[str], width: int, size: int) -> list[str]:
    """Tokens -> lines no wider than `width`; a token wider than that is broken between characters."""
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
    """Width of one line in pixels, with the half pixel that a bold stroke adds on either side.

    plain: whether it is set in Noto Sans CJK alone; None: where that font has it all.
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
    """One line of what is drawn: control characters become spaces. UserError naming each sign that no font has."""
    reason = undrawable(text)
    if reason is not None:
        raise UserError(f"the text {text[:LONGEST]!r} cannot be drawn: {reason}")
    return _flat(text)


def spelled(text: str) -> str:
    """The text with the code point of each sign that no font has in its place, for labels."""
    return "".join(f"U+{ord(sign):04X}" if undrawable(sign) else sign for sign in text)


def undrawable(text: str) -> str | None:
    """Why `printable` refuses the text, in words; None where it does not."""
    return _undrawable(_flat(text))


def _flat(text: str) -> str:
    """One line, composed (NFC) and without signs that have no shape, of which more than LONGEST are cut."""
    short = unicodedata.normalize("NFC", text[:LONGEST])
    seen = "".join(sign for sign in short if sign in JOINERS or unicodedata.category(sign) != "Cf")
    flat = re.sub(r"\s+", " ", re.sub(rf"[\x00-\x1f\x7f{VARIANTS}]", " ", seen)).strip()
    return flat + ELLIPSIS if len(text) > LONGEST else flat


def _leading(line: str) -> float:
    return (
        LEADING
        if is_cjk(line) or not any(piece.face in SHAPED for piece in pieces(line, is_right_to_left(line)))
        else TALL_LEADING
    )


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
    plain = is_cjk("".join(tokens))
    return any(measure(token.rstrip(), size, plain) > width for token in tokens)


def _longest_prefix(line: str, width: int, size: int, plain: bool) -> int:
    """How many characters of the line fit, one at least; marks stay with their letters."""
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
    plain, kept = is_cjk(line), line
    while kept and measure(kept + ELLIPSIS, size, plain) > width:
        kept = kept[:-1].rstrip() if plain else regex.sub(r"\X\Z", "", kept).rstrip()
    return kept + ELLIPSIS


def _lettering(lines: list[str], size: int, whole: str) -> Lettering:
    plain = is_cjk(whole)
    widest = max((measure(line, size, plain) for line in lines), default=0.0)
    height = int(size * _leading(whole))
    return Lettering(tuple(lines), size, height, int(widest + 0.5), plain, is_right_to_left(whole))
