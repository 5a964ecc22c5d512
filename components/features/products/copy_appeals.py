"""Which appeals a line of ad copy makes, by common words of advertising in English and Chinese (copy_appeals.yaml).

The appeals are those of copy-writing handbooks: price, urgency (scarcity of time or stock), social proof, curiosity
(the "curiosity gap" of clickbait; Chakraborty et al. 2016, "Stop Clickbait"), novelty, benefit, and a question. Two
texts that share no word may make the same appeal, so what the shoppers of a segment think of one is evidence for the
other. A line makes several appeals or none; lines in other languages make none.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

WORDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
APPEALS = tuple(WORDS)


def appeals_of(texts: Iterable[object]) -> np.ndarray:
    """float64 [n, appeals], 1 for each of APPEALS that a text [n] makes; a row of zeros for null."""
    return np.array([_appeals(text) for text in texts], dtype=np.float64).reshape(-1, len(APPEALS))


def _appeals(text: object) -> list[bool]:
    if not isinstance(text, str):
        return [False] * len(APPEALS)
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    return [pattern.search(plain) is not None for pattern in _PATTERNS]


def _pattern(words: dict[str, list[str]]) -> re.Pattern[str]:
    chinese = [re.escape(word).replace(r"\#", "[\\d一二三四五六七八九]") for word in words["zh"]]
    return re.compile("|".join([*map(_english, words["en"]), *chinese]), re.IGNORECASE)


def _english(word: str) -> str:
    """A pattern of the whole word, which ends where no letter follows, or after a sign such as `%`."""
    inner = re.escape(word).replace(r"\*", r"\w*").replace(r"\#", r"\d[\d.,]*")
    before = r"(?<!\w)" if word[0].isalnum() else ""
    return before + inner + (r"(?!\w)" if word[-1].isalnum() else "")


_PATTERNS = tuple(_pattern(words) for words in WORDS.values())
