"""What a line of ad copy claims about a product, by expressions of advertising in English and Chinese (claims.yaml).

A claim needs a fact of the product's tables that backs it: laws against misleading advertising, such as the EU's
directive 2005/29/EC and article 28 of China's advertising law, make the advertiser prove it. Some kinds have no such
fact (a deadline, something free, a superlative), so that no table can back them.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import regex
import yaml

from components.ads.copy.look_alikes import joined, latin_letters

PATTERNS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
KINDS = tuple(PATTERNS)
DIGITS = {sign: number for number, sign in enumerate("零一二三四五六七八九")}


@dataclass(frozen=True)
class Claim:
    """A claim: its kind, one of KINDS; the words that make it; and the number in it, None without one.

    number: of a discount the per cent, of a rating the stars, of a price the amount, of scarcity the pieces, of
    popularity the people.
    """

    kind: str
    words: str
    number: float | None = None


@lru_cache(maxsize=65536)
def claims_of(text: str) -> tuple[Claim, ...]:
    """The claims of a text, in order of KINDS; empty if it makes none, as in other languages.

    Letters that look like Latin ones, and words that are spaced out or split, are read as what they look like.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    alike = latin_letters(plain)
    readings = dict.fromkeys((plain, alike, joined(alike)))
    return tuple(dict.fromkeys(claim for kind in KINDS for reading in readings for claim in _of_kind(kind, reading)))


def _of_kind(kind: str, plain: str) -> Iterator[Claim]:
    for pattern in _patterns()[kind]:
        for match in pattern.finditer(plain):
            yield Claim(kind, match.group().strip(), _number(match.groupdict()))


def _number(groups: Mapping[str, str | None]) -> float | None:
    named = {name: value for name, value in groups.items() if value}
    if "fold" in named:  # of ten: 七折 is 30 % off, 8.5 折 is 15 %
        fold = "".join(str(DIGITS.get(sign, sign)) for sign in named["fold"])
        tenths = float(fold) if "." in fold or len(fold) == 1 else float(f"{fold[0]}.{fold[1:]}")
        return 100 - 10 * tenths
    return None if not named else amount_of(next(iter(named.values())))


def amount_of(written: str) -> float | None:
    """The number in `1,245.00`, `1.245,00` or `20,000`; None if it is none."""
    digits = written.strip(".,")
    last = max(digits.rfind("."), digits.rfind(","))
    decimals = len(digits) - last - 1 if last >= 0 else 0
    separators = {sign for sign in digits if sign in ".,"}
    # the last separator begins decimals if there are two kinds, or not exactly three digits after it
    if last >= 0 and (len(separators) == 2 or decimals != 3) and digits.count(digits[last]) == 1:
        digits = f"{regex.sub('[.,]', '', digits[:last])}.{digits[last + 1 :]}"
    else:
        digits = regex.sub("[.,]", "", digits)
    return float(digits) if regex.fullmatch(r"\d+(\.\d+)?", digits) else None


@cache
def _patterns() -> dict[str, list[regex.Pattern]]:
    return {
        # in ASCII, Chinese is no word of English: `No. 1` begins one in 这款No. 1
        kind: [
            regex.compile(one, regex.IGNORECASE | (regex.ASCII if language == "en" else regex.UNICODE))
            for language, texts in by_language.items()
            for one in texts
        ]
        for kind, by_language in PATTERNS.items()
    }
