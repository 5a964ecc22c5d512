"""Texts that people wrote, but for those that no font here can draw."""

from collections.abc import Mapping

import pandas as pd

from components.ads.text_fitting import undrawable

TEXTS = ("headline", "call_to_action")


def drawable_texts(tables: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Tables whose creatives have null for each text that cannot be drawn, and a remark on each of those texts.

    New ads are made of the others, so that none loses a letter.
    """
    creatives, remarks = tables["creatives"], []
    for name in TEXTS:
        reasons = {text: undrawable(text) for text in creatives[name].dropna().unique()}
        refused = {text: reason for text, reason in reasons.items() if reason is not None}
        creatives = creatives.assign(**{name: creatives[name].mask(creatives[name].isin(refused))})
        remarks += [f"{name} {text!r} stands in no new ad: {reason}" for text, reason in refused.items()]
    return {**tables, "creatives": creatives}, tuple(remarks)
