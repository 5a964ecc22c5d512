"""What an ad says beside the texts of people, as JSON in the column `design`: its product's title and price, and the
marks that its market requires."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from components.ads.markets.market_rules import market_of, marks_of
from components.ads.rendering.prices import written_price

LONGEST_TITLE = 60  # characters; a longer title is not shown, since no ad has room for it


def shown_facts(
    rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], currency: str, markets: Mapping[str, str]
) -> list[str | None]:
    """For each row (campaign, product_id, template, headline) JSON with `title`, `price` and `marks`, where there are
    any; else None.

    Only the template `price-tag` shows a price. currency: of `products.price`, ISO 4217; markets: of `ads.markets`.
    """
    locales = tables["campaigns"].set_index("campaign")["locale"]
    products = tables["products"].set_index("product_id").reindex(columns=["title", "price"])
    written = []
    for row in rows.itertuples():
        product = products.loc[row.product_id]
        facts: dict[str, object] = {"title": _title(product["title"], row.headline)}
        if row.template == "price-tag":
            facts["price"] = written_price(product["price"], currency, locales[row.campaign])
        written.append(_json(facts | required_marks(row.campaign, locales[row.campaign], markets, generated=False)))
    return written


def required_marks(
    campaign: str, locale: object, markets: Mapping[str, str], *, generated: bool
) -> dict[str, tuple[str, ...]]:
    """`marks` of an ad of the campaign; empty if it needs none."""
    marks = marks_of(market_of(campaign, locale, markets), locale, generated=generated)
    return {"marks": marks} if marks else {}


def generated_design(campaign: str, locale: object, markets: Mapping[str, str]) -> str | None:
    """The column `design` of an ad with a generated image, which names no product."""
    return _json(required_marks(campaign, locale, markets, generated=True))


def _json(facts: Mapping[str, object]) -> str | None:
    known = {name: value for name, value in facts.items() if value is not None}
    return json.dumps(known, sort_keys=True, ensure_ascii=False) if known else None


def facts_of(design: object) -> dict[str, Any]:
    """The title, price and marks in a value of the column `design`; empty for null and for designs of other systems."""
    try:
        facts = json.loads(design) if isinstance(design, str) else {}
    except ValueError:
        return {}
    if not isinstance(facts, dict):
        return {}
    known: dict[str, Any] = {name: facts[name] for name in ("title", "price") if isinstance(facts.get(name), str)}
    marks = facts.get("marks")
    if isinstance(marks, list) and marks and all(isinstance(mark, str) and mark.strip() for mark in marks):
        known["marks"] = tuple(marks)
    return known


def _title(title: object, headline: object) -> str | None:
    """The title, if it is short enough and the headline does not say it."""
    if not isinstance(title, str) or not 0 < len(title.strip()) <= LONGEST_TITLE:
        return None
    return None if isinstance(headline, str) and title.casefold() in headline.casefold() else title
