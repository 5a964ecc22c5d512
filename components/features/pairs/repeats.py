"""Pair feature: the shopper's earlier exposures to ads for the creative's product, for the wear-out of ads."""

import numpy as np

from components.features.pairs.pair_feature import PairFeature
from components.features.pairs.pair_history import PRODUCT, PairLog
from components.features.timeline import DAY, Timeline

WINDOW_DAYS = 7


def _every_row(log: PairLog) -> np.ndarray:
    return np.ones(len(log.moment), dtype=bool)


def _exposures(shown: Timeline, place: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """log2(1 + exposures) to any creative for the same product, in the last week and over all time, [n, 2]."""
    week, ever = shown.rows_of(place, moment, moment - WINDOW_DAYS * DAY), shown.rows_of(place, moment)
    return np.log2(1.0 + np.stack([week.count, ever.count], axis=1))


REPEATS = PairFeature(
    name="repeats",
    columns=(f"repeats:{WINDOW_DAYS}d", "repeats:ever"),
    by=PRODUCT,
    reads="impressions",
    chosen=_every_row,
    compute=_exposures,
)
