"""Score new creatives for the pool by the interest model, over each segment's shoppers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.ads.pool import Score
from components.features import FeatureModel, creative_features
from components.interest import CalibratedModel
from components.interest.segment_scores import segment_scores


def audience_score(
    interest: CalibratedModel, model: FeatureModel, audience: pd.DataFrame, tables: Mapping[str, pd.DataFrame]
) -> Score:
    """Function from new creatives and images to mean P(click) over each segment's rows of `audience`."""

    def score(creatives: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
        rows = creative_features(model, creatives, tables.get("products"), images)
        return segment_scores(interest, audience, rows)

    return score
