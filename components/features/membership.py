"""A fitted model and the events so far -> which segment every shopper belongs to now."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.features.behaviour import Asked, touches_of
from components.features.history import microseconds
from components.features.model import FeatureModel, consented
from components.features.profiles import segment_of


def segments_at(model: FeatureModel, tables: Mapping[str, pd.DataFrame], moment: pd.Timestamp) -> dict[str, int]:
    """Shopper id -> segment as of `moment`, as features have it; who refused consent is taken for a newcomer."""
    shoppers = tables["shoppers"]["shopper_id"]
    events = consented(tables.get("events"), tables) if model.behaviour.activity else None
    touched = touches_of(events, tables.get("products"), tables.get("images"), model.traits)
    until = int(microseconds(pd.Series([moment]))[0])
    asked = Asked(shoppers, shoppers, np.full(len(shoppers), until))
    return dict(zip(shoppers, segment_of(model, asked, touched).tolist(), strict=True))
