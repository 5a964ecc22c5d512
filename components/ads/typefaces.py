"""Which of the packaged Noto fonts has a sign, and a line of any script -> pieces to draw from left to right.

Text that Noto Sans CJK has (English, Chinese, Japanese, Korean) is set in it alone. Other text takes the font of its
script sign by sign; Pillow's Raqm shapes each piece, and the Unicode bidirectional algorithm (UAX 9) orders them.
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
# Tried in this order for each sign: an alphabet's letters, then symbols that several of them lack, then emoji.
SHAPED_SCRIPTS = (
    *("Arabic", "Hebrew", "Thai", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil", "Telugu", "Kannada"),
    *("Malayalam", "Oriya", "Sinhala", "Lao", "Khmer", "Myanmar"),
)
# Their letters join, change places or bear marks: without Raqm they would be drawn wrong.
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
JOINERS = "\u200c\u200d"  # they say how letters join, and have no shape of their own
VARIANTS = "\ufe0e\ufe0f"  # ask for a picture or a plain sign, of which we have one
BASIC, RAQM = ImageFont.Layout.BASIC, ImageFont.Layout.RAQM


@dataclass(frozen=True)
class Piece:
    """A stretch of one line in one font, read in one direction; `text` is in the order in which it is read."""

    text: str
    face: str
    right_to_left: bool

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """Its font at `size` pixels, with the layout that shapes it."""
        return load(self.face, size, RAQM if has_raqm() else BASIC)

    def options(self) -> dict[str, str]:
        """What Pillow has to know beside the font."""
        return {"direction": "rtl" if self.right_to_left else "ltr"} if has_raqm() else {}

    def width(self, size: int) -> float:
        """Pixels that it takes at `size`."""
        return self.font(size).getlength(self.text, **self.options())


@lru_cache(maxsize=512)
def load(face: str, size: int, layout: ImageFont.Layout = BASIC) -> ImageFont.FreeTypeFont:
    """One of FACES at `size` pixels."""
    return ImageFont.truetype(_path(face), size, layout_engine=layout)


def is_cjk(text: str) -> bool:
    """Whether Noto Sans CJK has all of the text, so that it is set in that font alone."""
    return all(has(CJK, sign) for sign in text)


def undrawable(text: str) -> str | None:
    """Why the text cannot be drawn, naming each sign that no font here has; None where it can."""
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
    """Whether the text is read from right to left: its first letter belongs to such a script."""
    return next((kind != "L" for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), False)


@lru_cache(maxsize=4096)
def pieces(line: str, right_to_left: bool) -> tuple[Piece, ...]:
    """A line of a text that is read from right to left, or not -> its pieces from left to right.

    Raises UserError where it cannot be drawn.
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
    """Stretches [start, stop) of the line, from left to right, and whether each is read from right to left."""
    from bidi import algorithm

    storage = algorithm.get_empty_storage()
    storage["base_level"] = int(right_to_left)
    storage["base_dir"] = ("L", "R")[storage["base_level"]]
    # the algorithm drops joiners; a mark keeps their place, for it goes with the letter before it
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
    """The font of each sign: letters by their script; what several fonts have goes with the letters beside it."""
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
    """The first of FACES that has the sign; None where none has."""
    if sign in JOINERS:
        return FACES[0]
    return next((face for face in FACES if has(face, sign)), None)


@lru_cache(maxsize=65536)
def has(face: str, sign: str) -> bool:
    """Whether the font has the sign: it draws it otherwise than what no font has."""
    if sign.isspace():
        return True
    drawn, missing = (load(face, 20).getmask(each) for each in (sign, "\U0010ffff"))
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)


@cache
def has_raqm() -> bool:
    """Whether Pillow can shape letters here: its wheels have Raqm, and look for FriBiDi on the machine."""
    return features.check("raqm")


def _path(face: str) -> str:
    if face == CJK:
        from cvttf_NotoSansCJK_Regular import get_TTF_path

        return get_TTF_path()
    return str(files("manimgx_fonts") / f"{face}[wght].ttf")
