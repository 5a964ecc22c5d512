"""The texts that people wrote, without those that the admission rules refuse for new ads."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from components.ads.admission import TEXT_COLUMNS, Candidates, Standards, admit


def admitted_texts(
    tables: Mapping[str, pd.DataFrame], standards: Standards
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Tables with null for each text of creatives that a rule refuses in its campaign, and remarks on these texts: one
    on each, and the number of texts by reason."""
    creatives, remarks, counts = tables["creatives"], [], Counter()
    about = describe(creatives, tables)
    for name in TEXT_COLUMNS:
        others = dict.fromkeys((text for text in TEXT_COLUMNS if text != name), None)
        reasons = admit(Candidates(about.assign(**others)), standards, reads=("texts",))
        refused = reasons != ""
        texts = pd.DataFrame({"text": creatives[name], "reason": reasons})[refused].drop_duplicates()
        remarks += [f"{name} {text!r} is in no new ad: {reason}" for text, reason in texts.itertuples(index=False)]
        counts.update(texts["reason"])
        creatives = creatives.assign(**{name: creatives[name].mask(refused)})
    if counts:
        by_reason = ", ".join(f"{reason} ({count})" for reason, count in sorted(counts.items()))
        remarks.append(f"pool: texts of people not admitted: {by_reason}")
    return {**tables, "creatives": creatives}, tuple(remarks)


def describe(creatives: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """TEXT_COLUMNS and CONTEXT_COLUMNS of admission.py for each row of creatives [n]."""
    locales = tables["campaigns"].set_index("campaign")["locale"]
    products = tables.get("products")
    category = None if products is None else creatives["product_id"].map(products.set_index("product_id")["category"])
    shown = creatives.reindex(columns=["campaign", "product_id", "template", "design", *TEXT_COLUMNS])
    return shown.assign(locale=creatives["campaign"].map(locales), category=category)
