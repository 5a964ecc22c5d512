"""New creatives -> the click-through that each shopper segment may be expected to give them."""

import numpy as np
import pandas as pd

from components.features import Features
from components.features.time_splits import JUDGE
from components.interest.calibrated_model import CalibratedModel

STANDS_FOR = "audience"  # the segment that a row was drawn for


def draw_audience(features: Features, segments: int, shoppers: int, seed: int) -> pd.DataFrame:
    """Features -> at most `shoppers` consenting impressions of each segment, from before judging begins.

    Columns: `audience`, the segment that the row stands for; `segment`, the row's own, another one only where that
    segment has none of these and all consenting shoppers stand for it; the float32 columns `shopper_*` and `context_*`,
    and `pair_*`, what the row says of any creative of a category (Features.pairs_by_category).
    Ids, times and outcomes are left out: an audience is kept with a model.
    """
    known = features.impressions.drop(columns="shopper_id")
    columns = [name for name in known if name == "segment" or name.startswith(("shopper_", "context_"))]
    before = known.loc[known["consent"] & (known["split"] != JUDGE), columns]
    random = np.random.default_rng(seed)
    drawn: dict[int, np.ndarray] = {}
    for segment in range(segments):
        own = np.flatnonzero(before["segment"] == segment)
        own = own if len(own) else np.arange(len(before))
        drawn[segment] = own[np.sort(random.choice(len(own), min(shoppers, len(own)), replace=False))]
    stands_for = pd.Series(np.repeat(list(drawn), [len(rows) for rows in drawn.values()]), name=STANDS_FOR)
    rows = before.iloc[np.concatenate(list(drawn.values()))]
    place = known.index.get_indexer(rows.index)
    return pd.concat([stands_for, rows.reset_index(drop=True), features.pairs_by_category(place)], axis=1)


def segment_scores(model: CalibratedModel, audience: pd.DataFrame, creatives: pd.DataFrame) -> np.ndarray:
    """An audience and creatives [n], as `creative_features` gives them -> mean P(click), float64 [n, segments]."""
    groups = [rows for _, rows in audience.groupby(STANDS_FOR)]
    return np.column_stack([model.predict(rows, creatives).mean(axis=0) for rows in groups])
