"""Words that a market bans -> whether a text has one, whatever its case, accents and widths.

Where a script writes no spaces (Chinese, Japanese, Thai and the like), a word is found anywhere; elsewhere as a whole
word only, so that `ass` is not found in `class`.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

import regex

SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


def banned_word(text: str, locale: str | None, banned: Mapping[str, Sequence[str]]) -> str | None:
    """The reason that a text may not be shown where `locale` is spoken, naming the first word; None where it may.

    banned: market -> words; the market `en` is every locale that is `en` or begins with `en-`.
    """
    for market, words in banned.items():
        if _is_of(locale, market):
            for word in words:
                if _pattern(word).search(_plain(text)):
                    return f"has the word {word!r}, which ads.banned_words.{market} bans"
    return None


def _is_of(locale: str | None, market: str) -> bool:
    spoken, asked = (str(name).lower().replace("_", "-") for name in (locale, market))
    return spoken == asked or spoken.startswith(f"{asked}-")


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """Case folded, without marks on Latin, Greek and Cyrillic letters, in the plain width, without joiners; no space
    beside what is written without."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    bare = regex.sub(r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}])\p{M}+", "", folded)
    shown = unicodedata.normalize("NFC", regex.sub(r"\p{Cf}", "", bare))
    return regex.sub(rf"(?<={SPACELESS})\s+(?={SPACELESS})", "", regex.sub(r"\s+", " ", shown)).strip()


@lru_cache(maxsize=4096)
def _pattern(word: str) -> regex.Pattern:
    plain = _plain(word)
    # a letter of a script without spaces ends a word of another: `iphone` is a word in 买iPhone吧
    letter = rf"(?:(?!{SPACELESS})[\p{{L}}\p{{M}}\p{{N}}_])"
    before = "" if regex.match(SPACELESS, plain[:1]) else rf"(?<!{letter})"
    after = "" if regex.match(SPACELESS, plain[-1:]) else rf"(?!{letter})"
    return regex.compile(f"{before}{regex.escape(plain)}{after}")
