"""Pairs with creatives that the shoppers have not seen: their pair features, which need no ids and times."""

import numpy as np
import pandas as pd

from components.features.pairs.pair_values import CATEGORY_COLUMN
from components.interest.model_protocol import Pairs

CATEGORY_PREFIX = "creative_category:"  # of the creatives' 0/1 columns, one per category


def new_pairs(
    impressions: pd.DataFrame, creatives: pd.DataFrame, row: np.ndarray, column: np.ndarray, names: tuple[str, ...]
) -> Pairs:
    """Rows `row` of `impressions` paired with rows `column` of `creatives`, int64 [n]; with the pair features `names`.

    A pair feature about a category has one column per category in `impressions` (Features.pairs_by_category); a new
    creative takes the value of its own category. A pair feature about a product is 0: no shopper has met this one.
    """
    values = np.zeros((len(row), len(names)), dtype=np.float32)
    categories = {name: name.removeprefix(CATEGORY_PREFIX) for name in creatives if name.startswith(CATEGORY_PREFIX)}
    for place, name in enumerate(names):
        for category_column, category in categories.items():
            pair_column = CATEGORY_COLUMN.format(column=name, category=category)
            if pair_column in impressions:
                in_category = creatives[category_column].to_numpy(dtype=np.float32)[column]
                values[:, place] += impressions[pair_column].to_numpy(dtype=np.float32)[row] * in_category
    return Pairs(impressions, creatives, row, column, names, values)
