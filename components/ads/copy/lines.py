"""Headlines written from the facts of a product, in English and Chinese, by the lines of lines.yaml.

A line is written only if every slot has a value in its language's script, and the facts back every claim that the
written line makes. Occasions: brand, product, price, price drop, new arrival, bestseller, low stock, rating.
"""

import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

from components.ads.copy.product_facts import ProductFacts
from components.ads.rendering.prices import written_price
from components.features.products.product_attributes import writing_system

LINES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
LONGEST = 60  # characters; a longer line fits in no small ad
SCRIPTS = {"en": "LATIN", "zh": "CJK"}
OWN_SCRIPT = ("category",)  # slots that read oddly in another script; brands and titles keep theirs


def lines_for(facts: ProductFacts, locale: str, currency: str) -> list[str]:
    """The distinct headlines for a product in a campaign's locale, in the order of LINES; none in other languages.

    currency: of the product's prices, ISO 4217.
    """
    language = str(locale).replace("_", "-").partition("-")[0].lower()
    if language not in SCRIPTS:
        return []
    values = _values(facts, locale, currency, SCRIPTS[language])
    written = dict.fromkeys(_written(values, language))
    return [line for line in written if len(line) <= LONGEST and facts.ungrounded(line) is None]


def _written(values: dict[str, str], language: str) -> Iterator[str]:
    for by_language in LINES.values():
        for line in by_language[language]:
            if _slots(line) <= values.keys():
                yield line.format(**values)


@cache
def _slots(line: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(line) if name)


def _values(facts: ProductFacts, locale: str, currency: str, script: str) -> dict[str, str]:
    """The slots that have a value."""
    discount = facts.discount
    values = {
        "title": facts.title,
        # a title often begins with its brand
        "brand": None if facts.brand and facts.title and facts.brand.lower() in facts.title.lower() else facts.brand,
        "category": facts.category,
        "price": written_price(facts.price, currency, locale),
        "discount": f"{discount:.0f}" if discount and discount >= 1 else None,
        "stock": f"{facts.stock:.0f}" if facts.stock else None,
        "rating": f"{facts.rating:.1f}" if facts.rating else None,
    }
    other_script = {name for name in OWN_SCRIPT if writing_system(values[name]) != script}
    return {name: value for name, value in values.items() if value and name not in other_script}
