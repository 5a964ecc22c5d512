"""What an ad says about its product beside the texts of people: title and price, as JSON in the column `design`."""

import json
import math
from collections.abc import Mapping

import pandas as pd
from babel import UnknownLocaleError
from babel.numbers import format_currency

LONGEST_TITLE = 60  # characters; a longer title is not shown, since no ad has room for it
ENGLISH = "en"  # how prices are written in a locale that Babel does not know


def shown_facts(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], currency: str) -> list[str | None]:
    """For each row (campaign, product_id, template) JSON with `title` and `price`, where there are any; else None.

    Only the template `price-tag` shows a price. currency: of `products.price`, ISO 4217.
    """
    locales = tables["campaigns"].set_index("campaign")["locale"]
    products = tables["products"].set_index("product_id").reindex(columns=["title", "price"])
    written = []
    for row in rows.itertuples():
        product = products.loc[row.product_id]
        facts = {"title": _title(product["title"])}
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


def written_price(price: object, currency: str, locale: str) -> str | None:
    """The price as people of the locale write it, such as 1 245,00 € in fr; None without a price above zero."""
    amount = float(price) if isinstance(price, int | float) else math.nan
    if not math.isfinite(amount) or amount <= 0:
        return None
    try:
        return format_currency(amount, currency, locale=str(locale).replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return format_currency(amount, currency, locale=ENGLISH)


def _title(title: object) -> str | None:
    return title if isinstance(title, str) and 0 < len(title.strip()) <= LONGEST_TITLE else None
