"""Events -> how recently, how often and for how much money a shopper did each kind of thing, as of a moment."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import side_by_side
from components.features.timeline import DAY, Rows, Timeline, microseconds, places


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

    def as_of(self, events: pd.DataFrame, timeline: Timeline, shopper_id: pd.Series, moment: np.ndarray) -> np.ndarray:
        """events [m] and their timeline, shoppers and moments int64 [n] -> float32 [n, columns], strictly before."""
        shopper = places(shopper_id, timeline.shoppers)
        windows = [timeline.rows_of(shopper, moment, moment - days * DAY) for days in self.window_days]
        ever, times = timeline.rows_of(shopper, moment), timeline.moment
        kind = places(events["kind"], pd.Index(self.kinds, dtype="str"))[timeline.order].astype(np.int16)
        value = None
        if self.paid:
            value = events["value"].fillna(0.0).to_numpy(dtype=np.float64)[timeline.order]
        blocks = []
        for number, name in enumerate(self.kinds):
            chosen = kind == number
            inside = [rows.among(chosen) for rows in windows]
            blocks.append(self._recency(ever.among(chosen), times[chosen], moment)[:, None])
            blocks.extend(rows.count[:, None] for rows in inside)
            if name in self.paid:
                blocks.extend(np.round(rows.sums(value[chosen]), 2)[:, None] for rows in inside)
        return side_by_side([block.astype(np.float32) for block in blocks], len(moment))

    def _recency(self, ever: Rows, times: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """Days since the last of `times` in each range, float64 [n]; at most the longest window."""
        # never, and longer ago than the longest window, look alike: the counts say the same
        return np.minimum((moment - ever.last(times, -np.inf)) / DAY, self.window_days[-1])


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
        campaigns = pd.Index(impressions["campaign"].dropna().unique())
        log = impressions["shopper_id"], impressions["campaign"]
        within = Timeline.of(pd.Series(_pair(*log, anywhere.shoppers, campaigns)), times)
        click = impressions["click"].to_numpy(dtype=np.float64)
        shopper = places(shopper_id, anywhere.shoppers)
        columns: list[np.ndarray] = []
        clicks = click[anywhere.order]
        for since in (*(moment - days * DAY for days in self.window_days), None):
            rows = anywhere.rows_of(shopper, moment, since)
            columns += [rows.count, rows.sums(clicks)]
        asked = pd.Series(_pair(shopper_id, campaign, anywhere.shoppers, campaigns))
        ever = within.rows(asked, moment)
        last = ever.last(times[within.order], -np.inf)
        columns += [within.rows(asked, moment, moment - DAY).count, ever.count, ever.sums(click[within.order])]
        columns.append(np.minimum((moment - last) / DAY, max(self.window_days)))
        return np.stack(columns, axis=1).astype(np.float32)


def _pair(shopper_id: pd.Series, campaign: pd.Series, shoppers: pd.Index, campaigns: pd.Index) -> np.ndarray:
    """Two id columns [n] -> int64 [n], one number for each pair of known ids; -1 where one of them is unknown."""
    left, right = places(shopper_id, shoppers), places(campaign, campaigns)
    return np.where((left >= 0) & (right >= 0), left * len(campaigns) + right, -1)
