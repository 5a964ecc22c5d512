"""Pairs with creatives that the shoppers have not seen: what their pair features are without ids and times."""

import numpy as np
import pandas as pd

from components.features.pairs.pair_values import COLUMN
from components.interest.model_protocol import Pairs

SHOWS = "creative_category:"  # 0/1 columns of creatives


def new_pairs(
    impressions: pd.DataFrame, creatives: pd.DataFrame, row: np.ndarray, column: np.ndarray, names: tuple[str, ...]
) -> Pairs:
    """Rows of impressions and creatives, int64 [n] each, and the pair features that a model expects -> Pairs.

    A feature about a category has a column for each of them in `impressions` (Features.pairs_by_category), and a new
    creative its value by its own category. One about a product says that the shopper never met this one: 0.
    """
    values = np.zeros((len(row), len(names)), dtype=np.float32)
    categories = {name: name.removeprefix(SHOWS) for name in creatives if name.startswith(SHOWS)}
    for place, name in enumerate(names):
        for shows, category in categories.items():
            known = COLUMN.format(column=name, category=category)
            if known in impressions:
                own = creatives[shows].to_numpy(dtype=np.float32)[column]
                values[:, place] += impressions[known].to_numpy(dtype=np.float32)[row] * own
    return Pairs(impressions, creatives, row, column, names, values)
