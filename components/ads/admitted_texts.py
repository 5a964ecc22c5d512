"""Texts that people wrote, but for those that no new ad may bear: what every choice of words is made from."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from components.ads.admission import TEXTS, Candidates, Standards, admit


def admitted_texts(
    tables: Mapping[str, pd.DataFrame], standards: Standards
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Tables whose creatives have null for each text that a rule refuses in its campaign, and remarks on those texts:
    one on each, and how many each reason refused."""
    creatives, remarks, counts = tables["creatives"], [], Counter()
    about = describe(creatives, tables)
    for name in TEXTS:
        others = dict.fromkeys((text for text in TEXTS if text != name), None)
        reasons = admit(Candidates(about.assign(**others)), standards, sees=("texts",))
        refused = reasons != ""
        texts = pd.DataFrame({"text": creatives[name], "reason": reasons})[refused].drop_duplicates()
        remarks += [f"{name} {text!r} stands in no new ad: {reason}" for text, reason in texts.itertuples(index=False)]
        counts.update(texts["reason"])
        creatives = creatives.assign(**{name: creatives[name].mask(refused)})
    if counts:
        of_each = ", ".join(f"{reason} ({count})" for reason, count in sorted(counts.items()))
        remarks.append(f"pool: texts of people not admitted: {of_each}")
    return {**tables, "creatives": creatives}, tuple(remarks)


def describe(creatives: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Columns TEXTS, campaign, locale of the campaign and category of the product [n] of creatives, rows as theirs."""
    locales = tables["campaigns"].set_index("campaign")["locale"]
    products = tables.get("products")
    category = None if products is None else creatives["product_id"].map(products.set_index("product_id")["category"])
    return creatives[["campaign", *TEXTS]].assign(locale=creatives["campaign"].map(locales), category=category)
