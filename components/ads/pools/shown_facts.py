"""What an ad says about its product beside the texts of people: title and price, as JSON in the column `design`."""

import json
from collections.abc import Mapping

import pandas as pd

from components.ads.rendering.prices import written_price

LONGEST_TITLE = 60  # characters; a longer title is not shown, since no ad has room for it


def shown_facts(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], currency: str) -> list[str | None]:
    """For each row (campaign, product_id, template, headline) JSON with `title` and `price`, where known; else None.

    Only the template `price-tag` shows a price. currency: of `products.price`, ISO 4217.
    """
    locales = tables["campaigns"].set_index("campaign")["locale"]
    products = tables["products"].set_index("product_id").reindex(columns=["title", "price"])
    written = []
    for row in rows.itertuples():
        product = products.loc[row.product_id]
        facts = {"title": _title(product["title"], row.headline)}
        if row.template == "price-tag":
            facts["price"] = written_price(product["price"], currency, locales[row.campaign])
        known = {name: value for name, value in facts.items() if value is not None}
        written.append(json.dumps(known, sort_keys=True, ensure_ascii=False) if known else None)
    return written


def facts_of(design: object) -> dict[str, str]:
    """The title and price in a value of the column `design`; empty for null and for designs of other systems."""
    try:
        facts = json.loads(design) if isinstance(design, str) else {}
    except ValueError:
        return {}
    names = ("title", "price")
    return {name: facts[name] for name in names if isinstance(facts, dict) and isinstance(facts.get(name), str)}


def _title(title: object, headline: object) -> str | None:
    """The title, if it is short enough and the headline does not say it."""
    if not isinstance(title, str) or not 0 < len(title.strip()) <= LONGEST_TITLE:
        return None
    return None if isinstance(headline, str) and title.casefold() in headline.casefold() else title
