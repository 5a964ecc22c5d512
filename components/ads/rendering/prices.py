"""Prices as people of a locale write them."""

import math

from babel import UnknownLocaleError
from babel.numbers import format_currency

ENGLISH = "en"  # for a locale that Babel does not know


def written_price(price: object, currency: str, locale: str) -> str | None:
    """The price as people of the locale write it, such as 1 245,00 € in fr; None without a price above zero."""
    amount = float(price) if isinstance(price, int | float) else math.nan
    if not math.isfinite(amount) or amount <= 0:
        return None
    try:
        return format_currency(amount, currency, locale=str(locale).replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return format_currency(amount, currency, locale=ENGLISH)
