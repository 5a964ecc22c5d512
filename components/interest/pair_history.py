"""How often a shopper had been shown the same product before: the history of a pair, not of a shopper or a creative."""

import numpy as np
import pandas as pd

from components.features import Features
from components.features.categoricals import side_by_side
from components.features.timeline import DAY, Timeline, microseconds

WINDOW_DAYS = (7,)  # and over all time; an ad's wear-out is told in exposures per week
COLUMNS = len(WINDOW_DAYS) + 1


def has_history(features: Features) -> bool:
    """Whether these features tell a shopper's past at all (a profile in place of a shopper has none)."""
    return "shopper_shown:ever" in features.impressions.columns


def repeats_of(features: Features, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Pairs by rows of features.impressions and features.creatives -> float32 [n, COLUMNS], log2(1 + exposures).

    Counts the shopper's consenting impressions of any creative for the same product, strictly before the pair's time;
    a creative without a product is its own subject. No columns where the features tell no past.
    """
    if not has_history(features):
        return np.zeros((len(row), 0), dtype=np.float32)
    impressions, creatives = features.impressions, features.creatives
    subject = creatives["product_id"].where(creatives["product_id"].notna(), creatives["creative_id"])
    subjects = pd.factorize(subject)[0].astype(np.int64)  # (creatives,)
    shoppers = pd.factorize(impressions["shopper_id"])[0].astype(np.int64)  # (impressions,)
    moment = microseconds(impressions["timestamp"])
    shown = pd.Index(creatives["creative_id"]).get_indexer(pd.Index(impressions["creative_id"]))
    told = np.flatnonzero(impressions["consent"].to_numpy() & (shown >= 0))
    width = int(subjects.max()) + 1
    timeline = Timeline.of(pd.Series(shoppers[told] * width + subjects[shown[told]]), moment[told])
    asked = pd.Series(shoppers[row] * width + subjects[column])
    when = moment[row]
    counts = [timeline.rows(asked, when, when - days * DAY).count for days in WINDOW_DAYS]
    counts.append(timeline.rows(asked, when).count)
    return side_by_side([np.log2(1.0 + count)[:, None] for count in counts], len(row))
