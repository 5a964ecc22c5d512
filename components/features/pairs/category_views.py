"""Pair feature: the shopper's recent views of products of the creative's category."""

import numpy as np

from components.features.pairs.pair_feature import PairFeature
from components.features.pairs.pair_history import CATEGORY, PairLog
from components.features.timeline import Timeline

HOUR = 3_600_000_000  # microseconds
HOURS = 6


def _views(log: PairLog) -> np.ndarray:
    return log.kind == "view"


def _recent(views: Timeline, place: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """log2(1 + views in the last HOURS hours), [n, 1]."""
    return np.log2(1.0 + views.rows_of(place, moment, moment - HOURS * HOUR).count)[:, None]


CATEGORY_VIEWS = PairFeature(
    name=f"category_views_{HOURS}h",
    columns=(f"category_views_{HOURS}h",),
    by=CATEGORY,
    reads="events",
    chosen=_views,
    compute=_recent,
)
