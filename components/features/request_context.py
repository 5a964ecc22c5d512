"""Where and when an impression was shown -> float32 columns; nothing in it depends on what was shown.

The hour is the shopper's own (`context_local_hour`, 0 to 23) where the data set logs it, and UTC's elsewhere.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import FreeColumns, Levels, one_hot, side_by_side
from components.features.timeline import DAY, microseconds

HOURS = 3  # hours in a block of the day: wide enough to hold clicks, narrow enough to tell evening from night
BLOCKS = tuple(f"context_hour:{start:02d}" for start in range(0, 24, HOURS))
TIME_OF_DAY = (*BLOCKS, "context_hour_sin", "context_hour_cos")
WEEKEND = "context_weekend"
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
        return (*words, *TIME_OF_DAY, WEEKEND, *self.free.columns)

    def encode(self, impressions: pd.DataFrame) -> np.ndarray:
        """impressions [n] -> float32 [n, columns]."""
        moment = microseconds(impressions["timestamp"])
        hour = (moment % DAY) / (DAY / 24)
        if LOCAL_HOUR in impressions:
            hour = impressions[LOCAL_HOUR].astype(np.float64).fillna(pd.Series(hour, impressions.index)).to_numpy() % 24
        weekend = (moment // DAY + 3) % 7 >= 5  # 1 January 1970 was a Thursday
        blocks = [
            self.position.encode(impressions["position"]),
            self.placement.encode(impressions["placement"]),
            self.campaign.encode(impressions["campaign"]),
            _clock(hour),
            weekend[:, None],
            self.free.encode(impressions),
        ]
        return side_by_side(blocks, len(impressions))

    def moved(self, rows: pd.DataFrame, placement: str | None, hour: int | None) -> pd.DataFrame:
        """Feature rows of impressions [n] -> the same shoppers with the same pasts, in another context.

        placement: one of `self.placement.levels`; hour: 0 to 23; None leaves each row's own.
        """
        columns: dict[str, np.float32] = {}
        if placement is not None:
            columns |= zip(self.placement.columns, self.placement.encode(pd.Series([placement]))[0], strict=True)
        if hour is not None:
            columns |= zip(TIME_OF_DAY, _clock(np.array([hour]))[0], strict=True)
        return rows.assign(**columns)


def _clock(hour: np.ndarray) -> np.ndarray:
    """hour [n], in [0, 24) -> float32 [n, columns of TIME_OF_DAY]."""
    turn = hour / 24 * 2 * np.pi
    circle = np.round(np.stack([np.sin(turn), np.cos(turn)], axis=1), 6)
    return side_by_side([one_hot((hour // HOURS).astype(np.int64), len(BLOCKS)), circle], len(hour))
