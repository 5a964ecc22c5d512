"""Admission rules for new ads, on image, texts, campaign and category; a rule gives a reason to refuse an ad, or none.

Rules on texts only are also applied to the texts that people wrote (`admitted_texts`), so that the pool and
`adloom generate` use only admitted texts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from components.ads.copy.banned_words import banned_word
from components.ads.copy.look_alikes import wording
from components.ads.copy.product_facts import NOTHING_KNOWN, ProductFacts
from components.ads.markets.market_rules import market_ban, market_of
from components.ads.pools.shown_facts import facts_of
from components.ads.rendering.ad_sizes import AdSize
from components.ads.rendering.designs import Parts, cut_text
from components.ads.rendering.text_fitting import undrawable
from components.generators.quality.photo_manifold import Manifold

TEXT_COLUMNS = ("headline", "call_to_action")
RECOGNISED = 0.03  # least probability of its category that an image is given
CONTEXT_COLUMNS = ("campaign", "locale", "category", "product_id", "template", "design")


@dataclass(frozen=True)
class Candidates:
    """n candidate ads. words: columns TEXT_COLUMNS and CONTEXT_COLUMNS [n], null for a missing one; pictures: uint8
    [n, h, w, c], empty [0] if only rules on texts are applied."""

    words: pd.DataFrame
    pictures: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def __len__(self) -> int:
        return len(self.words)

    def only(self, rows: np.ndarray) -> "Candidates":
        """The candidates in these rows."""
        return Candidates(self.words.iloc[rows], self.pictures[rows] if len(self.pictures) else self.pictures)


class Recogniser(Protocol):
    """A classifier of product photos. categories: their names; probabilities: of images uint8 [n, h, w, c], float64
    [n, categories]."""

    categories: tuple[str, ...]

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Rows sum to 1."""
        ...


@dataclass(frozen=True)
class Standards:
    """The parameters of the rules. manifold: of real photos, None if only rules on texts are applied;
    duplicate_fraction: of the photos' spacing, below which images are near-duplicates; banned_words: by market;
    facts: of products, by product_id, which back claims; None: claims are not judged. sizes: in each of which all
    texts must fit whole. markets: campaign or locale -> market, of `ads.markets`. recognises: of categories, trained on
    real photos; None: categories of images are not judged."""

    manifold: Manifold | None = None
    duplicate_fraction: float = 0.0
    banned_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    facts: Mapping[str, ProductFacts] | None = None
    sizes: tuple[AdSize, ...] = ()
    markets: Mapping[str, str] = field(default_factory=dict)
    recognises: Recogniser | None = None


@dataclass(frozen=True)
class AdmissionRule:
    """A rule. reasons: (candidates, standards) -> object [n], the reason to refuse each ad, or "".

    compares: the rule compares candidates with each other, so it is applied last, to those that all others admit.
    """

    name: str
    reads: Literal["texts", "pictures"]
    reasons: Callable[[Candidates, Standards], np.ndarray]
    compares: bool = False


def admit(candidates: Candidates, standards: Standards, reads: Sequence[str] = ("texts", "pictures")) -> np.ndarray:
    """Object [n]: "" for an admitted ad, else the reason of the first rule that refuses it.

    reads: the kinds of rules that are applied.
    """
    return refusals(candidates, standards, reads)[1]


def refusals(
    candidates: Candidates, standards: Standards, reads: Sequence[str] = ("texts", "pictures")
) -> tuple[np.ndarray, np.ndarray]:
    """Object [n] each: the name of the first rule that refuses an ad, and its reason; "" for an admitted one."""
    names, reasons = (np.full(len(candidates), "", dtype=object) for _ in range(2))
    for rule in sorted((rule for rule in ADMISSION_RULES if rule.reads in reads), key=lambda rule: rule.compares):
        standing = np.flatnonzero(reasons == "")
        if not len(standing):
            break
        if rule.compares:
            found = rule.reasons(candidates.only(standing), standards)
        else:
            found = rule.reasons(candidates, standards)[standing]
        reasons[standing] = found
        names[standing[found != ""]] = rule.name
    return names, reasons


def _where(refused: np.ndarray, reason: str) -> np.ndarray:
    return np.where(refused, reason, "").astype(object)


def _first(words: pd.DataFrame, reason_of: Callable[..., str | None], key: Sequence[str] = ("locale",)) -> np.ndarray:
    """Object [n]: the first reason of `reason_of` for one of an ad's texts, or "". key: what it depends on besides."""
    known: dict[tuple, str] = {}
    reasons = np.full(len(words), "", dtype=object)
    shown = words[[*key, "design", *TEXT_COLUMNS]]
    for row, values in enumerate(shown.itertuples(index=False)):
        about, (design, *texts) = values[: len(key)], values[len(key) :]
        for text in (text for text in (*texts, facts_of(design).get("title")) if isinstance(text, str)):
            if (text, *about) not in known:
                known[(text, *about)] = reason_of(text, *about) or ""
            reasons[row] = reasons[row] or known[(text, *about)]
    return reasons


def _undrawable(candidates: Candidates, _standards: Standards) -> np.ndarray:
    return _first(candidates.words, undrawable, ())


def _banned(candidates: Candidates, standards: Standards) -> np.ndarray:
    if not standards.banned_words:
        return _where(np.zeros(len(candidates), bool), "")
    return _first(candidates.words, lambda text, locale: banned_word(text, locale, standards.banned_words))


def _banned_in_market(candidates: Candidates, standards: Standards) -> np.ndarray:
    """Refuse ads with a word that is banned in their campaign's market (markets/), or a look-alike of one."""

    def reason_of(text: str, campaign: object, locale: object) -> str | None:
        return market_ban(text, market_of(campaign, locale, standards.markets))

    return _first(candidates.words, reason_of, ("campaign", "locale"))


def _ungrounded(candidates: Candidates, standards: Standards) -> np.ndarray:
    """Refuse ads with a claim that no fact of their product backs; without a product there is no fact."""
    reasons = np.full(len(candidates), "", dtype=object)
    if standards.facts is None:
        return reasons
    for row, (product, *texts) in enumerate(candidates.words[["product_id", *TEXT_COLUMNS]].itertuples(index=False)):
        facts = standards.facts.get(product, NOTHING_KNOWN)
        claims = [facts.ungrounded(text) for text in texts if isinstance(text, str)]
        reasons[row] = next((f"makes a claim of {claim.kind} that no table backs" for claim in claims if claim), "")
    return reasons


def _cut(candidates: Candidates, standards: Standards) -> np.ndarray:
    """Refuse ads with a text that ends in dots at one of the sizes."""
    reasons = np.full(len(candidates), "", dtype=object)
    columns = ["template", "design", *TEXT_COLUMNS]
    for row, (template, design, *texts) in enumerate(candidates.words[columns].itertuples(index=False)):
        template, headline, call = (text if isinstance(text, str) else None for text in (template, *texts))
        if any(undrawable(text) for text in (headline, call) if text):
            continue  # the first rule gives the reason
        parts = Parts(headline, call, **facts_of(design))
        sizes = (size.name for size in standards.sizes if cut_text(parts, template, size, True) is not None)
        reasons[row] = next((f"has a text that does not fit in {size}" for size in sizes), "")
    return reasons


def _copies(candidates: Candidates, standards: Standards) -> np.ndarray:
    return _where(standards.manifold.copies(candidates.pictures), "copies a product photo")


def _no_photo(candidates: Candidates, standards: Standards) -> np.ndarray:
    return _where(standards.manifold.excess(candidates.pictures) > 0, "does not look like a product photo")


def _other_category(candidates: Candidates, standards: Standards) -> np.ndarray:
    """Refuse images of a known category that the classifier does not recognise as it."""
    reasons = np.full(len(candidates), "", dtype=object)
    if standards.recognises is None or not len(candidates):
        return reasons
    place = {name: number for number, name in enumerate(standards.recognises.categories)}
    shares = standards.recognises.probabilities(candidates.pictures)
    for row, category in enumerate(candidates.words["category"]):
        if category in place and shares[row, place[category]] < RECOGNISED:
            reasons[row] = f"is not recognised as {category}"
    return reasons


def _same_words(candidates: Candidates, _standards: Standards) -> np.ndarray:
    """Refuse ads that differ from an earlier candidate of the campaign only in marks, case or look-alikes of texts."""
    words, seen = candidates.words, set()
    reasons = np.full(len(candidates), "", dtype=object)
    for row in range(len(candidates)):
        one = words.iloc[row]
        if not isinstance(one.get("image_id"), str):
            continue
        texts = (wording(one[name]) if isinstance(one[name], str) else None for name in TEXT_COLUMNS)
        shown = tuple(str(one.get(name)) for name in ("campaign", "product_id", "image_id", "template", "palette"))
        key = (*shown, *texts)
        reasons[row] = "repeats the texts of another ad" if key in seen else ""
        seen.add(key)
    return reasons


def _repeats(candidates: Candidates, standards: Standards) -> np.ndarray:
    """Refuse near-duplicates of earlier candidates."""
    repeated = standards.manifold.near_duplicates(candidates.pictures, standards.duplicate_fraction)
    return _where(repeated, "is a near-duplicate of another generated image")


# In the order in which they are applied; one line adds a rule.
ADMISSION_RULES: tuple[AdmissionRule, ...] = (
    AdmissionRule("drawable", "texts", _undrawable),
    AdmissionRule("banned words", "texts", _banned),
    AdmissionRule("market", "texts", _banned_in_market),
    AdmissionRule("grounded", "texts", _ungrounded),
    AdmissionRule("whole texts", "texts", _cut),
    AdmissionRule("copies", "pictures", _copies),
    AdmissionRule("no photo", "pictures", _no_photo),
    AdmissionRule("category", "pictures", _other_category),
    AdmissionRule("same words", "texts", _same_words, compares=True),
    AdmissionRule("repeats", "pictures", _repeats, compares=True),
)
