"""Mean predicted P(click) of new creatives in each shopper segment."""

import numpy as np
import pandas as pd

from components.features import Features
from components.features.time_splits import JUDGE
from components.interest.calibrated_model import CalibratedModel

AUDIENCE_SEGMENT = "audience"  # column: the segment that a row was drawn for


def draw_audience(features: Features, segments: int, shoppers: int, seed: int) -> pd.DataFrame:
    """At most `shoppers` consenting impressions for each segment, from before the judge split.

    Columns: `audience`, the segment that the row was drawn for; `segment`, the row's own segment, which differs only if
    a segment has no such impression and its rows are drawn from all of them; the float32 columns `shopper_*` and
    `context_*`; and `pair_*`, the row's pair features by category (Features.pairs_by_category).
    Ids, times and outcomes are left out, because an audience is stored with a model.
    """
    impressions = features.impressions.drop(columns="shopper_id")
    columns = [name for name in impressions if name == "segment" or name.startswith(("shopper_", "context_"))]
    eligible = impressions.loc[impressions["consent"] & (impressions["split"] != JUDGE), columns]
    random = np.random.default_rng(seed)
    rows_of_segment: dict[int, np.ndarray] = {}
    for segment in range(segments):
        candidates = np.flatnonzero(eligible["segment"] == segment)
        candidates = candidates if len(candidates) else np.arange(len(eligible))
        rows_of_segment[segment] = candidates[
            np.sort(random.choice(len(candidates), min(shoppers, len(candidates)), replace=False))
        ]
    stands_for = pd.Series(
        np.repeat(list(rows_of_segment), [len(rows) for rows in rows_of_segment.values()]), name=AUDIENCE_SEGMENT
    )
    rows = eligible.iloc[np.concatenate(list(rows_of_segment.values()))]
    positions = impressions.index.get_indexer(rows.index)
    return pd.concat([stands_for, rows.reset_index(drop=True), features.pairs_by_category(positions)], axis=1)


def segment_scores(model: CalibratedModel, audience: pd.DataFrame, creatives: pd.DataFrame) -> np.ndarray:
    """Mean P(click) of n creatives (rows of `creative_features`) by segment of the audience, float64 [n, segments]."""
    groups = [rows for _, rows in audience.groupby(AUDIENCE_SEGMENT)]
    return np.column_stack([model.predict(rows, creatives).mean(axis=0) for rows in groups])
