"""Choose the packaged Noto font of each character, and split a line of any script into pieces from left to right.

Text that is in Noto Sans CJK (English, Chinese, Japanese, Korean) is set in that font. Other text is set in the font of
its script, character by character; Pillow's Raqm shapes each piece, and the Unicode bidirectional algorithm (UAX 9)
orders the pieces.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

from PIL import ImageFont, features

from components.settings.errors import UserError

CJK = "CJK"
# In the order in which they are tried for each character: letters of scripts, then symbols, then emoji.
SHAPED_SCRIPTS = (
    *("Arabic", "Hebrew", "Thai", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil", "Telugu", "Kannada"),
    *("Malayalam", "Oriya", "Sinhala", "Lao", "Khmer", "Myanmar"),
)
# Their letters join, change order or have marks, so without Raqm they would be drawn wrongly.
SHAPED = tuple(f"NotoSans{script}" for script in SHAPED_SCRIPTS)
FACES = (
    "NotoSans",
    *SHAPED,
    "NotoSansGeorgian",
    "NotoSansArmenian",
    "NotoSansEthiopic",
    CJK,
    "NotoSansSymbols",
    "NotoEmoji",
)
MARK = "\u0300"
JOINERS = "\u200c\u200d"  # determine how letters join, and have no shape
VARIANTS = "\ufe0e\ufe0f"  # select the emoji or the plain form, of which the fonts have one
BASIC, RAQM = ImageFont.Layout.BASIC, ImageFont.Layout.RAQM


@dataclass(frozen=True)
class Piece:
    """A part of a line in one font and one reading direction; `text` is in reading order."""

    text: str
    face: str
    right_to_left: bool

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """The font at `size` pixels, with the layout engine that shapes it."""
        return load(self.face, size, RAQM if has_raqm() else BASIC)

    def options(self) -> dict[str, str]:
        """Further options for Pillow."""
        return {"direction": "rtl" if self.right_to_left else "ltr"} if has_raqm() else {}

    def width(self, size: int) -> float:
        """Width in pixels at `size`."""
        return self.font(size).getlength(self.text, **self.options())


@lru_cache(maxsize=512)
def load(face: str, size: int, layout: ImageFont.Layout = BASIC) -> ImageFont.FreeTypeFont:
    """One of FACES at `size` pixels."""
    return ImageFont.truetype(_path(face), size, layout_engine=layout)


def is_cjk(text: str) -> bool:
    """Whether Noto Sans CJK has all characters of the text, so that it is set in that font."""
    return all(has(CJK, sign) for sign in text)


def undrawable(text: str) -> str | None:
    """Why the text cannot be drawn, with each character that no font has; None if it can be drawn."""
    unknown = dict.fromkeys(sign for sign in text if not sign.isspace() and _face(sign) is None)
    if unknown:
        named = ", ".join(f"{sign} (U+{ord(sign):04X} {unicodedata.name(sign, 'no name')})" for sign in unknown)
        return f"no font here has {named}"
    shaped = {_face(sign) for sign in text if not sign.isspace()}.intersection(SHAPED)
    if shaped and not has_raqm():
        scripts = " and ".join(sorted(face.removeprefix("NotoSans") for face in shaped))
        return f"{scripts} letters need FriBiDi to be shaped: install it (Debian: apt-get install libfribidi0)"
    return None


def is_right_to_left(text: str) -> bool:
    """Whether the text is read from right to left, by the script of its first letter."""
    return next((kind != "L" for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), False)


@lru_cache(maxsize=4096)
def pieces(line: str, right_to_left: bool) -> tuple[Piece, ...]:
    """The pieces of a line from left to right; UserError if it cannot be drawn.

    right_to_left: the reading direction of the text.
    """
    reason = undrawable(line)
    if reason is not None:
        raise UserError(f"the text {line!r} cannot be drawn: {reason}")
    faces, made = _faces(line), []
    for start, stop, turned in _visual_runs(line, right_to_left):
        cuts = [start, *(at for at in range(start + 1, stop) if faces[at] != faces[at - 1]), stop]
        run = [Piece(line[a:b], faces[a], turned) for a, b in pairwise(cuts)]
        made += reversed(run) if turned else run
    return tuple(made)


def _visual_runs(line: str, right_to_left: bool) -> list[tuple[int, int, bool]]:
    """Parts [start, stop) of the line, from left to right, and whether each is read from right to left."""
    from bidi import algorithm

    storage = algorithm.get_empty_storage()
    storage["base_level"] = int(right_to_left)
    storage["base_dir"] = ("L", "R")[storage["base_level"]]
    # the algorithm drops joiners, so they are replaced by marks, which stay with the letter before them
    algorithm.get_embedding_levels(re.sub(f"[{JOINERS}]", MARK, line), storage)
    for at, sign in enumerate(storage["chars"]):
        sign["at"] = at
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    algorithm.reorder_resolved_levels(storage, False)
    runs: list[tuple[int, int, int]] = []  # start, stop, level
    for at, level in ((sign["at"], sign["level"]) for sign in storage["chars"]):
        start, stop, same = runs[-1] if runs else (-1, -1, -1)
        if level == same and at == (start - 1 if level % 2 else stop):
            runs[-1] = (min(start, at), max(stop, at + 1), level)
        else:
            runs.append((at, at + 1, level))
    return [(start, stop, level % 2 == 1) for start, stop, level in runs]


def _faces(line: str) -> list[str]:
    """The font of each character: of letters by script; of characters in several fonts, that of adjacent letters."""
    faces: list[str | None] = [None] * len(line)
    for at, sign in enumerate(line):
        if unicodedata.category(sign)[0] in "LM" or sign in JOINERS:
            joins = at > 0 and faces[at - 1] is not None and (sign in JOINERS or unicodedata.category(sign)[0] == "M")
            faces[at] = faces[at - 1] if joins and (sign in JOINERS or has(faces[at - 1], sign)) else _face(sign)
    for order in (range(1, len(line)), range(len(line) - 2, -1, -1)):
        step = -1 if order.step == 1 else 1
        for at in order:
            beside = faces[at + step]
            if faces[at] is None and beside is not None and (line[at].isspace() or has(beside, line[at])):
                faces[at] = beside
    return [face or _face(sign) or FACES[0] for face, sign in zip(faces, line, strict=True)]


@lru_cache(maxsize=65536)
def _face(sign: str) -> str | None:
    """The first of FACES that has the character; None if none has it."""
    if sign in JOINERS:
        return FACES[0]
    return next((face for face in FACES if has(face, sign)), None)


@lru_cache(maxsize=65536)
def has(face: str, sign: str) -> bool:
    """Whether the font has the character, so that it is drawn differently from a missing one."""
    if sign.isspace():
        return True
    drawn, missing = (load(face, 20).getmask(character) for character in (sign, "\U0010ffff"))
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)


@cache
def has_raqm() -> bool:
    """Whether Pillow can shape letters: its wheels include Raqm, which needs FriBiDi on the machine."""
    return features.check("raqm")


def _path(face: str) -> str:
    if face == CJK:
        from cvttf_NotoSansCJK_Regular import get_TTF_path

        return get_TTF_path()
    return str(files("manimgx_fonts") / f"{face}[wght].ttf")
