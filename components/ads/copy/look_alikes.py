"""Texts as a reader takes them who does not see that letters were replaced, spaced out or split.

Letters of other scripts become the Latin ones that they are confusable with (Unicode Technical Standard 39, by the
library confusable-homoglyphs, which holds its table); NFKC alone leaves these, because they are letters of their own.
"""

import unicodedata
from functools import cache, lru_cache
from pathlib import Path

import regex
import yaml

CHINESE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
# signs that are read as letters within a word; i and l are one, since l stands for I
READ_AS = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "|": "l", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t"}
)
PAIRS = (("rn", "m"), ("vv", "w"))
BETWEEN = r"[\s._\-*·•|/~+,'’‐‑–—]"
SPELLED_OUT = regex.compile(
    rf"(?<![\p{{L}}\p{{N}}])[\p{{L}}\p{{N}}](?:{BETWEEN}{{1,3}}[\p{{L}}\p{{N}}]){{2,}}(?![\p{{L}}\p{{N}}])"
)
SPLIT = regex.compile(r"(?<=\p{L})[._\-*·•|/~+'’‐‑–—]+(?=\p{L})")
LATIN = regex.compile(r"LATIN (?:LETTER SMALL CAPITAL|SMALL LETTER|CAPITAL LETTER) ([A-Z])(?: WITH .*)?")
SPLIT_CHINESE = regex.compile(r"(?<=\p{Han})[\s._\-*·•|/~+]+(?=[\p{Han}\d%])")


def latin_letters(text: str) -> str:
    """The text with the Latin letters that letters of other scripts are confusable with, without invisible signs."""
    return "".join(_latin(sign) for sign in regex.sub(r"\p{Cf}", "", text))


def joined(text: str) -> str:
    """The text with words whose letters are spaced out or split by marks as words: `b e s t`, `be-st`."""
    whole = SPELLED_OUT.sub(lambda spelled: regex.sub(BETWEEN, "", spelled.group()), text)
    return SPLIT_CHINESE.sub("", SPLIT.sub("", whole))


@lru_cache(maxsize=16384)
def skeleton(text: str) -> str:
    """A text that two texts share if they look alike: `joined`, with READ_AS and PAIRS; for comparison only."""
    alike = joined(latin_letters(text)).casefold().translate(READ_AS)
    for shown, read in (*PAIRS, *CHINESE.items()):
        alike = alike.replace(shown, read)
    return alike


def wording(text: str) -> str:
    """The letters and digits of a text, without case, marks and spaces, and as they look: equal for texts that read as
    the same words."""
    return regex.sub(r"[^\p{L}\p{M}\p{N}%$€£¥]", "", latin_letters(unicodedata.normalize("NFKC", text)).casefold())


@cache
def _latin(sign: str) -> str:
    """The ASCII letters that a letter of an alphabet is confusable with; the sign itself if there are none."""
    from confusable_homoglyphs.confusables import confusables_data  # reads its table in a tenth of a second

    if sign.isascii() or not regex.match(r"(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}])\p{L}", sign):
        return sign
    named = LATIN.fullmatch(unicodedata.name(sign, ""))
    if named:
        return named[1]
    alike = [other["c"] for other in confusables_data.get(sign, ()) if other["c"].isascii() and other["c"].isalpha()]
    return alike[0] if alike else sign
