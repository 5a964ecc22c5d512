"""Names that are the same but written in two ways: 11 and 11.0, `red` and `red ` with a blank."""

import unicodedata
from collections.abc import Callable, Iterable

QUOTES = "'\"`"
DIFFERENCES: dict[str, Callable[[str], str]] = {  # a difference in words, and the name without it
    "blanks around them": lambda name: name.strip(),
    "how a number is written (11 and 11.0)": lambda name: _number(name),
    "capital letters": lambda name: name.casefold(),
    "how letters are encoded (Unicode)": lambda name: unicodedata.normalize("NFKC", name),
    "leading zeros": lambda name: name.lstrip("0"),
    "quotation marks": lambda name: name.strip(QUOTES),
    "blanks, capital letters, number formats or quotation marks": lambda name: _plain(name),
}


def unmatched(left: Iterable[str], right: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of a name of `left` and the name of `right` that is the same apart from DIFFERENCES."""
    left, right = [str(name) for name in left], [str(name) for name in right]
    plain = {_plain(name): name for name in reversed(right)}
    return [(name, plain[_plain(name)]) for name in left if _plain(name) in plain]


def likely_cause(left: Iterable[str], right: Iterable[str]) -> str:
    """How names of `left` and `right` seem to differ, as the end of a sentence; empty if nothing explains it."""
    left, right = [str(name) for name in left], {str(name) for name in right}
    left = [name for name in left if name not in right]
    if not left:
        return ""
    for difference, normalise in DIFFERENCES.items():
        normalised = {normalise(name) for name in right}
        if any(normalise(name) in normalised for name in left):
            return f"; they seem to differ in {difference} only: write both alike"
    return ""


def _number(name: str) -> str:
    try:
        return f"{float(name):.12g}" if not name.strip().lower().startswith(("nan", "inf")) else name
    except ValueError:
        return name


def _plain(name: str) -> str:
    return _number(unicodedata.normalize("NFKC", name).strip().strip(QUOTES).strip().casefold())
