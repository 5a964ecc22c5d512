"""Features of a request: position, placement, campaign, time and open columns; none depends on the shown creative.

The hour is the shopper's local hour (`context_local_hour`, 0 to 23) if the data set logs it, else the hour in UTC.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, OpenColumns, join_columns, one_hot
from components.features.timeline import DAY, microseconds

HOURS = 3  # hours in a block of the day: long enough to have clicks, short enough to separate evening and night
BLOCKS = tuple(f"context_hour:{start:02d}" for start in range(0, 24, HOURS))
TIME_OF_DAY = (*BLOCKS, "context_hour_sin", "context_hour_cos")
WEEKEND = "context_weekend"
CONTEXT_PREFIX = "context_"
LOCAL_HOUR = "context_local_hour"


@dataclass(frozen=True)
class Context:
    """The encoders of position, placement, campaign and the open columns `context_*`."""

    position: Levels
    placement: Levels
    campaign: Levels
    free: OpenColumns

    @classmethod
    def fit(cls, impressions: pd.DataFrame, campaigns: pd.DataFrame) -> "Context":
        """The encoders fitted on impressions of training time and all campaigns."""
        return cls(
            Levels.fit("context_position", impressions["position"], most=20),
            Levels.fit("context_placement", impressions["placement"]),
            Levels.fit("context_campaign", campaigns["campaign"]),
            OpenColumns.fit(CONTEXT_PREFIX, CONTEXT_PREFIX, impressions.drop(columns=LOCAL_HOUR, errors="ignore")),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `encode` returns."""
        words = (*self.position.columns, *self.placement.columns, *self.campaign.columns)
        return (*words, *TIME_OF_DAY, WEEKEND, *self.free.columns)

    def encode(self, impressions: pd.DataFrame) -> np.ndarray:
        """float32 [n, columns] of impressions [n]."""
        hour = (
            impressions[LOCAL_HOUR].to_numpy(dtype=np.float64, na_value=np.nan) if LOCAL_HOUR in impressions else None
        )
        clock = self.clock(microseconds(impressions["timestamp"]), hour)
        return join_columns([self.labels(impressions), clock, self.free.encode(impressions)], len(impressions))

    def labels(self, impressions: pd.DataFrame) -> np.ndarray:
        """The first columns of `encode`: float32 [n, k] of position, placement and campaign."""
        blocks = [getattr(self, name).encode(impressions[name]) for name in ("position", "placement", "campaign")]
        return join_columns(blocks, len(impressions))

    def clock(self, moment: np.ndarray, local_hour: np.ndarray | None) -> np.ndarray:
        """The columns between `labels` and the open ones: float32 [n, columns of TIME_OF_DAY and WEEKEND].

        moment: int64 [n], microseconds; local_hour: float64 [n], NaN where it is not known; None: nowhere.
        """
        hour = (moment % DAY) / (DAY / 24)
        if local_hour is not None:
            hour = np.where(np.isnan(local_hour), hour, local_hour) % 24
        weekend = (moment // DAY + 3) % 7 >= 5  # 1 January 1970 was a Thursday
        return join_columns([_clock(hour), weekend[:, None]], len(moment))

    def in_context(self, rows: pd.DataFrame, placement: str | None, hour: int | None) -> pd.DataFrame:
        """Feature rows of impressions [n] with another placement and hour; shoppers and their histories do not change.

        placement: one of `self.placement.levels`; hour: 0 to 23; None: not changed.
        """
        columns: dict[str, np.float32] = {}
        if placement is not None:
            columns |= zip(self.placement.columns, self.placement.encode(pd.Series([placement]))[0], strict=True)
        if hour is not None:
            columns |= zip(TIME_OF_DAY, _clock(np.array([hour]))[0], strict=True)
        return rows.assign(**columns)


def _clock(hour: np.ndarray) -> np.ndarray:
    """float32 [n, columns of TIME_OF_DAY] of hours [n] in [0, 24)."""
    angle = hour / 24 * 2 * np.pi
    circle = np.round(np.stack([np.sin(angle), np.cos(angle)], axis=1), 6)
    return join_columns([one_hot((hour // HOURS).astype(np.int64), len(BLOCKS)), circle], len(hour))
