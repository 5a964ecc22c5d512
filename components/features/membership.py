"""Events so far -> which shoppers are alike, as of one moment: what a server knows before the next request comes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.features.behaviour import Asked, touches_of
from components.features.history import microseconds
from components.features.model import FeatureModel, consented
from components.features.segments import Segments


def cluster_shoppers(
    model: FeatureModel, tables: Mapping[str, pd.DataFrame], moment: int, count: int, seed: int
) -> pd.DataFrame:
    """Consenting shoppers with a past -> at most `count` segments of like tastes: shopper_id, segment (text).

    moment: microseconds since 1970; only what happened strictly before it counts. Segment 0 is the largest. No rows
    where the data set tells no past (no events, or features.shopper_history is false).
    """
    nobody = pd.DataFrame({"shopper_id": pd.Series(dtype="str"), "segment": pd.Series(dtype="str")})
    events = consented(tables.get("events"), tables) if model.behaviour.activity else None
    if events is None or not model.behaviour.tastes:
        return nobody
    events = events[microseconds(events["timestamp"]) < moment]
    seen = consented(tables["impressions"], tables)
    seen = seen.loc[microseconds(seen["timestamp"]) < moment, "shopper_id"]
    shoppers = pd.Series(np.unique(np.concatenate([events["shopper_id"].unique(), seen.unique()])), dtype="str")
    touched = touches_of(events, tables.get("products"), tables.get("images"), model.traits)
    if shoppers.empty or not any(len(touches.moment) for touches in touched):
        return nobody
    averages, _ = model.behaviour.averages(Asked(shoppers, shoppers, np.full(len(shoppers), moment)), touched)
    tastes = tuple(average.astype(np.float64) for average in averages)
    segments = Segments.fit(tastes, count, seed).assign(np.concatenate(tastes, axis=1))
    return pd.DataFrame({"shopper_id": shoppers, "segment": pd.Series(segments.astype(str), dtype="str")})
