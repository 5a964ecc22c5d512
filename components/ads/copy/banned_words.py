"""Find banned words in a text, regardless of case, accents and character widths, and look-alikes of them.

In scripts without spaces (Chinese, Japanese, Thai and others) a word matches anywhere, in others only as a whole word,
so that `ass` does not match in `class`.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

import regex

from components.ads.copy.look_alikes import skeleton

SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


def banned_word(text: str, locale: str | None, banned: Mapping[str, Sequence[str]]) -> str | None:
    """Why a text may not be shown in `locale`, with the first banned word; None if it may.

    banned: market -> words; the market `en` is the locale `en` and all that begin with `en-`.
    """
    for market, words in banned.items():
        if _is_of(locale, market):
            for word in words:
                if contains(text, word):
                    return f"has the word {word!r}, which ads.banned_words.{market} bans"
    return None


def contains(text: str, word: str) -> bool:
    """Whether the text has the word, or letters that a reader takes for it (look_alikes.py)."""
    plain = _plain(text)
    return bool(_pattern(word).search(plain) or _alike(word).search(_plain(skeleton(_bare(text)))))


def _is_of(locale: str | None, market: str) -> bool:
    locale, market = (str(name).lower().replace("_", "-") for name in (locale, market))
    return locale == market or locale.startswith(f"{market}-")


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """The text case-folded, without accents on Latin, Greek and Cyrillic letters, in standard width, without joiners
    and without spaces between characters of scripts without spaces."""
    shown = _bare(unicodedata.normalize("NFKC", text).casefold())
    return regex.sub(rf"(?<={SPACELESS})\s+(?={SPACELESS})", "", regex.sub(r"\s+", " ", shown)).strip()


def _bare(text: str) -> str:
    """The text without accents on Latin, Greek and Cyrillic letters, and without joiners."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = regex.sub(r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}])\p{M}+", "", decomposed)
    return unicodedata.normalize("NFC", regex.sub(r"\p{Cf}", "", bare))


@lru_cache(maxsize=4096)
def _pattern(word: str) -> regex.Pattern:
    return _word_pattern(_plain(word))


@lru_cache(maxsize=4096)
def _alike(word: str) -> regex.Pattern:
    """Of the word's skeleton, which may lack the spaces between words."""
    return _word_pattern(_plain(skeleton(_bare(word))), spaces=r"\s*")


def _word_pattern(plain: str, spaces: str = " ") -> regex.Pattern:
    # letters of a script without spaces end words of other scripts: `iphone` is a word in 买iPhone吧
    letter = rf"(?:(?!{SPACELESS})[\p{{L}}\p{{M}}\p{{N}}_])"
    before = "" if regex.match(SPACELESS, plain[:1]) else rf"(?<!{letter})"
    after = "" if regex.match(SPACELESS, plain[-1:]) else rf"(?!{letter})"
    return regex.compile(f"{before}{spaces.join(map(regex.escape, plain.split(' ')))}{after}")
