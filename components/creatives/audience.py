"""The model of interest as the pool's judge: what each segment's shoppers would make of a new creative."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.config import CreativesConfig
from components.creatives.pool import Score
from components.features import FeatureModel, Features, creative_features
from components.interest import CalibratedModel
from components.interest.audience import segment_scores


def audience_score(
    interest: CalibratedModel,
    model: FeatureModel,
    built: Features,
    tables: Mapping[str, pd.DataFrame],
    segments: int,
    config: CreativesConfig,
) -> Score:
    """Mean P(click) of new creatives over `config.audience` impressions of each of `segments` segments."""

    def score(creatives: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
        rows = creative_features(model, creatives, tables.get("products"), images)
        return segment_scores(interest, built, rows, segments, config.audience, config.seed)

    return score
