"""Score new creatives for the pool by the interest model, over each segment's shoppers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.ads.pools.pool import Score
from components.features import FeatureModel, Looks, creative_features
from components.interest import CalibratedModel
from components.interest.segment_scores import segment_scores


def audience_score(
    interest: CalibratedModel,
    model: FeatureModel,
    audience: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    known: Looks,
) -> Score:
    """Function from new creatives and their images to mean P(click) over each segment's rows of `audience`.

    known: looks of the images in the table `images`, for creatives with a photo from there.
    """

    def score(creatives: pd.DataFrame, pictures: np.ndarray | None) -> np.ndarray:
        is_new = pictures is not None
        looks = Looks.of_pictures(model.traits.look, creatives["image_id"], pictures) if is_new else known
        rows = creative_features(model, creatives, tables.get("products"), looks)
        return segment_scores(interest, audience, rows)

    return score
