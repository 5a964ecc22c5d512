"""Events -> how recently, how often and for how much money a shopper did each kind of thing, as of a moment."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.history import DAY, Timeline, microseconds
from components.features.levels import side_by_side


@dataclass(frozen=True)
class Activity:
    """Recency, frequency and value per kind of event.

    kinds: kinds seen in training time; paid: those of them that carry money; window_days: lengths of the windows.
    """

    kinds: tuple[str, ...]
    paid: tuple[str, ...]
    window_days: tuple[int, ...]

    @classmethod
    def fit(cls, events: pd.DataFrame, window_days: tuple[int, ...]) -> "Activity":
        """events of training time [m] -> the kinds to count."""
        paid = events.loc[events["value"].fillna(0.0) > 0, "kind"] if "value" in events else events["kind"].iloc[:0]
        return cls(tuple(sorted(events["kind"].unique())), tuple(sorted(paid.unique())), tuple(sorted(window_days)))

    @property
    def columns(self) -> tuple[str, ...]:
        """`shopper_recency:view` (days), `shopper_count:view_7d`, `shopper_value:purchase_7d` (money)."""
        names: list[str] = []
        for kind in self.kinds:
            names.append(f"shopper_recency:{kind}")
            names.extend(f"shopper_count:{kind}_{days}d" for days in self.window_days)
            if kind in self.paid:
                names.extend(f"shopper_value:{kind}_{days}d" for days in self.window_days)
        return tuple(names)

    def as_of(self, events: pd.DataFrame, shopper_id: pd.Series, moment: np.ndarray) -> np.ndarray:
        """events [m], shoppers and moments int64 [n] -> float32 [n, columns], from what lies strictly before."""
        blocks = [self._kind(kind, events[events["kind"] == kind], shopper_id, moment) for kind in self.kinds]
        return side_by_side(blocks, len(moment))

    def _kind(self, kind: str, events: pd.DataFrame, shopper_id: pd.Series, moment: np.ndarray) -> np.ndarray:
        times = microseconds(events["timestamp"])
        timeline = Timeline.of(events["shopper_id"], times)
        windows = [timeline.rows(shopper_id, moment, moment - days * DAY) for days in self.window_days]
        longest = self.window_days[-1]
        # never, and longer ago than the longest window, look alike: the counts say the same
        last = timeline.rows(shopper_id, moment).last(times[timeline.order], -np.inf)
        columns = [np.minimum((moment - last) / DAY, longest)]
        columns.extend(window.count for window in windows)
        if kind in self.paid:
            value = events["value"].fillna(0.0).to_numpy(dtype=np.float64)[timeline.order]
            columns.extend(np.round(window.sums(value), 2) for window in windows)
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Exposure:
    """What a shopper had been shown, and had clicked, before this impression: fatigue and responsiveness.

    Clicks are known at once; conversions are not, so none is counted here.
    """

    window_days: tuple[int, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Counts over windows and over all time; `campaign_` counts the impression's own campaign alone."""
        windows = tuple(f"shopper_{what}:{days}d" for days in self.window_days for what in ("shown", "clicked"))
        return (*windows, "shopper_shown:ever", "shopper_clicked:ever", "shopper_campaign_shown:1d",
                "shopper_campaign_shown:ever", "shopper_campaign_clicked:ever", "shopper_campaign_recency")  # fmt: skip

    def as_of(
        self, impressions: pd.DataFrame, shopper_id: pd.Series, campaign: pd.Series, moment: np.ndarray
    ) -> np.ndarray:
        """impressions [m]; shoppers, campaigns and moments [n] -> float32 [n, columns], strictly before each moment."""
        times = microseconds(impressions["timestamp"])
        anywhere = Timeline.of(impressions["shopper_id"], times)
        within = Timeline.of(_pair(impressions["shopper_id"], impressions["campaign"]), times)
        click = impressions["click"].to_numpy(dtype=np.float64)
        columns: list[np.ndarray] = []
        for since in (*(moment - days * DAY for days in self.window_days), None):
            rows = anywhere.rows(shopper_id, moment, since)
            columns += [rows.count, rows.sums(click[anywhere.order])]
        asked = _pair(shopper_id, campaign)
        ever = within.rows(asked, moment)
        last = ever.last(times[within.order], -np.inf)
        columns += [within.rows(asked, moment, moment - DAY).count, ever.count, ever.sums(click[within.order])]
        columns.append(np.minimum((moment - last) / DAY, max(self.window_days)))
        return np.stack(columns, axis=1).astype(np.float32)


def _pair(left: pd.Series, right: pd.Series) -> pd.Series:
    """Two id columns -> one that keeps them apart (a unit separator is in no id that people write)."""
    return left.astype("str") + "\x1f" + right.astype("str")
