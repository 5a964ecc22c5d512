"""Where and when an impression was shown -> float32 columns; nothing in it depends on what was shown.

The hour is the shopper's own (`context_local_hour`, 0 to 23) where the data set logs it, and UTC's elsewhere.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.history import DAY, microseconds
from components.features.levels import FreeColumns, Levels, one_hot, side_by_side

HOURS = 3  # hours in a block of the day: wide enough to hold clicks, narrow enough to tell evening from night
BLOCKS = tuple(f"context_hour:{start:02d}" for start in range(0, 24, HOURS))
CIRCLE = ("context_hour_sin", "context_hour_cos", "context_weekend")
PREFIX = "context_"
LOCAL_HOUR = "context_local_hour"


@dataclass(frozen=True)
class Context:
    """Position, placement, campaign, clock and the data set's own `context_*` columns."""

    position: Levels
    placement: Levels
    campaign: Levels
    free: FreeColumns

    @classmethod
    def fit(cls, impressions: pd.DataFrame, campaigns: pd.DataFrame) -> "Context":
        """impressions of training time [n], all campaigns -> the columns to write."""
        return cls(
            Levels.fit("context_position", impressions["position"], most=20),
            Levels.fit("context_placement", impressions["placement"]),
            Levels.fit("context_campaign", campaigns["campaign"]),
            FreeColumns.fit(PREFIX, PREFIX, impressions.drop(columns=LOCAL_HOUR, errors="ignore")),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `encode` returns."""
        words = (*self.position.columns, *self.placement.columns, *self.campaign.columns)
        return (*words, *BLOCKS, *CIRCLE, *self.free.columns)

    def encode(self, impressions: pd.DataFrame) -> np.ndarray:
        """impressions [n] -> float32 [n, columns]."""
        moment = microseconds(impressions["timestamp"])
        hour = (moment % DAY) / (DAY / 24)
        if LOCAL_HOUR in impressions:
            hour = impressions[LOCAL_HOUR].astype(np.float64).fillna(pd.Series(hour, impressions.index)).to_numpy() % 24
        turn = hour / 24 * 2 * np.pi
        weekend = (moment // DAY + 3) % 7 >= 5  # 1 January 1970 was a Thursday
        blocks = [
            self.position.encode(impressions["position"]),
            self.placement.encode(impressions["placement"]),
            self.campaign.encode(impressions["campaign"]),
            one_hot((hour // HOURS).astype(np.int64), len(BLOCKS)),
            np.round(np.stack([np.sin(turn), np.cos(turn), weekend], axis=1), 6),
            self.free.encode(impressions),
        ]
        return side_by_side(blocks, len(impressions))
