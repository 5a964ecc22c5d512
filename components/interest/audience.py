"""New creatives -> the click-through that each shopper segment may be expected to give them."""

import numpy as np
import pandas as pd

from components.features import Features
from components.interest.calibrated import CalibratedModel


def segment_scores(
    model: CalibratedModel, features: Features, creatives: pd.DataFrame, segments: int, shoppers: int, seed: int
) -> np.ndarray:
    """creatives [n], as `creative_features` gives them -> mean P(click) per segment, float64 [n, segments].

    Each segment is `shoppers` of its latest impressions at most, in the time before evaluation begins; a segment with
    none is scored as all shoppers together.
    """
    before = features.impressions[features.impressions["split"] != "evaluation"]
    random = np.random.default_rng(seed)
    columns = []
    for segment in range(segments):
        own = before[before["segment"] == segment]
        own = own if len(own) else before
        rows = own.iloc[np.sort(random.choice(len(own), min(shoppers, len(own)), replace=False))]
        left = rows.iloc[np.repeat(np.arange(len(rows)), len(creatives))]
        right = creatives.iloc[np.tile(np.arange(len(creatives)), len(rows))]
        columns.append(model.predict(left, right).reshape(len(rows), len(creatives)).mean(axis=0))
    return np.column_stack(columns)
