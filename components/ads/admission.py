"""Which candidate ads may be shown: rules that see picture, texts, campaign and category, and give a reason or none.

A rule that sees texts alone is also asked about the texts that people wrote (`admitted_texts`), so that new ads, the
words that `adloom generate` chooses from, and the pool all draw from what it admits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from components.ads.banned_words import banned_word
from components.ads.text_fitting import undrawable
from components.generators.quality.photo_manifold import Manifold

TEXTS = ("headline", "call_to_action")
ABOUT = ("campaign", "locale", "category")


@dataclass(frozen=True)
class Candidates:
    """Candidate ads, a row each. words: columns TEXTS and ABOUT [n], null where there is none; pictures: uint8
    [n, h, w, c], empty [0] where texts alone are asked about."""

    words: pd.DataFrame
    pictures: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def __len__(self) -> int:
        return len(self.words)

    def only(self, rows: np.ndarray) -> "Candidates":
        """The candidates in these rows."""
        return Candidates(self.words.iloc[rows], self.pictures[rows] if len(self.pictures) else self.pictures)


@dataclass(frozen=True)
class Standards:
    """What rules measure by. manifold: real photos, None where texts alone are asked about; duplicate_fraction: of the
    gap between photos, nearer than which pictures repeat each other; banned_words: by market, as in the settings."""

    manifold: Manifold | None = None
    duplicate_fraction: float = 0.0
    banned_words: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class AdmissionRule:
    """reasons: candidates, standards -> object [n], each a reason why that ad may not be shown, or empty.

    compares: the rule compares candidates with each other, so it is asked last, about those that all others admit.
    """

    name: str
    sees: Literal["texts", "pictures"]
    reasons: Callable[[Candidates, Standards], np.ndarray]
    compares: bool = False


def admit(candidates: Candidates, standards: Standards, sees: Sequence[str] = ("texts", "pictures")) -> np.ndarray:
    """Object [n]: empty for an ad that may be shown, else the reason of the first rule that refuses it.

    sees: the kinds of rules that are asked.
    """
    reasons = np.full(len(candidates), "", dtype=object)
    for rule in sorted((rule for rule in ADMISSION_RULES if rule.sees in sees), key=lambda rule: rule.compares):
        standing = np.flatnonzero(reasons == "")
        if rule.compares and len(standing):
            reasons[standing] = rule.reasons(candidates.only(standing), standards)
        elif len(standing):
            reasons = np.where(reasons == "", rule.reasons(candidates, standards), reasons)
    return reasons


def _where(refused: np.ndarray, reason: str) -> np.ndarray:
    return np.where(refused, reason, "").astype(object)


def _first(words: pd.DataFrame, reason_of: Callable[..., str | None]) -> np.ndarray:
    """The first reason that `reason_of` gives for one of an ad's texts in its locale."""
    known: dict[tuple, str] = {}
    reasons = np.full(len(words), "", dtype=object)
    for row, (locale, *texts) in enumerate(words[["locale", *TEXTS]].itertuples(index=False)):
        for text in (text for text in texts if isinstance(text, str)):
            if (text, locale) not in known:
                known[text, locale] = reason_of(text, locale) or ""
            reasons[row] = reasons[row] or known[text, locale]
    return reasons


def _undrawable(candidates: Candidates, _standards: Standards) -> np.ndarray:
    return _first(candidates.words, lambda text, _locale: undrawable(text))


def _banned(candidates: Candidates, standards: Standards) -> np.ndarray:
    if not standards.banned_words:
        return _where(np.zeros(len(candidates), bool), "")
    return _first(candidates.words, lambda text, locale: banned_word(text, locale, standards.banned_words))


def _copies(candidates: Candidates, standards: Standards) -> np.ndarray:
    return _where(standards.manifold.copies(candidates.pictures), "copies a product photo")


def _no_photo(candidates: Candidates, standards: Standards) -> np.ndarray:
    return _where(standards.manifold.excess(candidates.pictures) > 0, "looks like no product photo")


def _repeats(candidates: Candidates, standards: Standards) -> np.ndarray:
    """Earlier pictures win over later duplicates."""
    repeated = standards.manifold.repeats(candidates.pictures, standards.duplicate_fraction)
    return _where(repeated, "repeats another made picture")


# In the order in which they are asked; a line adds one.
ADMISSION_RULES: tuple[AdmissionRule, ...] = (
    AdmissionRule("drawable", "texts", _undrawable),
    AdmissionRule("banned words", "texts", _banned),
    AdmissionRule("copies", "pictures", _copies),
    AdmissionRule("no photo", "pictures", _no_photo),
    AdmissionRule("repeats", "pictures", _repeats, compares=True),
)
