"""The rules of each market, from the YAML files beside this module, and the market of a campaign.

A campaign's market follows from its locale's territory, or the likely one of its language (Unicode CLDR: China for
`zh`, the United States for `en`); the setting `ads.markets` overrides it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml
from babel import Locale, UnknownLocaleError
from babel.core import get_global

from components.ads.copy.banned_words import contains
from components.settings.errors import UserError
from components.settings.sections import Section
from components.settings.typed_settings import typed_settings

FOLDER = Path(__file__).parent
MARKS = yaml.safe_load((FOLDER / "marks.yaml").read_text(encoding="utf-8"))
NO_MARKET = "none"  # a value of `ads.markets`: no rules but the mark of generated images


class BannedWords(Section):
    """Words that no ad may contain, and the law or rule that says so."""

    source: str
    words: tuple[str, ...]


class MarketRules(Section):
    """territories: ISO 3166. advertisement_mark: whether each ad must say that it is one. language: of the marks;
    null: the campaign's."""

    territories: tuple[str, ...]
    advertisement_mark: bool
    banned: tuple[BannedWords, ...]
    language: str | None = None


@cache
def markets() -> Mapping[str, MarketRules]:
    """The rules of each market by its name."""
    files = sorted(file for file in FOLDER.glob("*.yaml") if file.stem != "marks")
    return {
        file.stem: typed_settings(yaml.safe_load(file.read_text(encoding="utf-8")), file.name, MarketRules)
        for file in files
    }


def check_markets(chosen: Mapping[str, str]) -> None:
    """UserError if `ads.markets` names an unknown market."""
    for name, market in chosen.items():
        if market not in (*markets(), NO_MARKET):
            known = ", ".join((*markets(), NO_MARKET))
            raise UserError(f"ads.markets.{name}: no market is called {market!r}; there are {known}")


def market_of(campaign: object, locale: object, chosen: Mapping[str, str]) -> str | None:
    """The market of a campaign: by `chosen` (campaign or locale -> market), else by its locale; None without rules."""
    for name in (campaign, locale):
        if name in chosen:
            return None if chosen[name] == NO_MARKET else chosen[name]
    return _by_locale(locale) if isinstance(locale, str) else None


@cache
def _by_locale(locale: str) -> str | None:
    parsed = _parsed(locale)
    if parsed is None:
        return None
    likely = parsed.territory or get_global("likely_subtags").get(str(parsed), "").rpartition("_")[2]
    return next((name for name, rules in markets().items() if likely in rules.territories), None)


@cache
def _parsed(locale: str) -> Locale | None:
    try:
        return Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return None


def marks_of(market: str | None, locale: object, *, generated: bool) -> tuple[str, ...]:
    """The marks that an ad must show in this market: that it is an ad, and that its image is a generated one."""
    parsed = _parsed(locale) if isinstance(locale, str) else None
    rules = markets().get(market or "")
    language = (rules and rules.language) or (parsed.language if parsed else "en")
    needed = {"advertisement": rules is not None and rules.advertisement_mark, "generated": generated}
    return tuple(MARKS[kind].get(language, MARKS[kind]["en"]) for kind, is_needed in needed.items() if is_needed)


def market_ban(text: str, market: str | None) -> str | None:
    """Why a text may not be shown in the market: the first banned word or look-alike of one; None if it may."""
    for source, word in _banned(market):
        if contains(text, word):
            return f"has the word {word!r}, which the market {market} bans ({source})"
    return None


def _banned(market: str | None) -> Iterator[tuple[str, str]]:
    rules = markets().get(market or "")
    for group in rules.banned if rules else ():
        for word in group.words:
            yield group.source, word
