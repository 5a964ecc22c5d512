"""Point-in-time recency, frequency and value of a shopper's events, and of the ads shown to the shopper."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import join_columns
from components.features.timeline import DAY, Rows, Timeline, microseconds, positions


@dataclass(frozen=True)
class Activity:
    """Recency, frequency and value by kind of event.

    kinds: kinds in training time; paid: those of them with a money value; window_days: lengths of the windows.
    """

    kinds: tuple[str, ...]
    paid: tuple[str, ...]
    window_days: tuple[int, ...]

    @classmethod
    def fit(cls, events: pd.DataFrame, window_days: tuple[int, ...]) -> "Activity":
        """The activity features of the kinds in `events`, m rows of training time."""
        paid = events.loc[events["value"].fillna(0.0) > 0, "kind"] if "value" in events else events["kind"].iloc[:0]
        return cls(tuple(sorted(events["kind"].unique())), tuple(sorted(paid.unique())), tuple(sorted(window_days)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names such as `shopper_recency:view` (days), `shopper_count:view_7d`, `shopper_value:purchase_7d` (money)."""
        names: list[str] = []
        for kind in self.kinds:
            names.append(f"shopper_recency:{kind}")
            names.extend(f"shopper_count:{kind}_{days}d" for days in self.window_days)
            if kind in self.paid:
                names.extend(f"shopper_value:{kind}_{days}d" for days in self.window_days)
        return tuple(names)

    def as_of(self, events: pd.DataFrame, timeline: Timeline, shopper_id: pd.Series, moment: np.ndarray) -> np.ndarray:
        """float32 [n, columns] for shoppers and moments int64 [n], from events [m] strictly before each moment."""
        kind = positions(events["kind"], pd.Index(self.kinds, dtype="str"))[timeline.order]
        value = None
        if self.paid:
            value = events["value"].fillna(0.0).to_numpy(dtype=np.float64)[timeline.order]
        return self.at(timeline, kind, value, positions(shopper_id, timeline.shoppers), moment)

    def at(
        self, timeline: Timeline, kind: np.ndarray, value: np.ndarray | None, shopper: np.ndarray, moment: np.ndarray
    ) -> np.ndarray:
        """`as_of` for shoppers at positions of `timeline`, int64 [n].

        kind: int64 [m], positions in `kinds`, -1: another; value: float64 [m], None if no kind is paid; in its order.
        """
        windows = [timeline.rows_of(shopper, moment, moment - days * DAY) for days in self.window_days]
        ever, times, kind = timeline.rows_of(shopper, moment), timeline.moment, kind.astype(np.int16)
        blocks = []
        for number, name in enumerate(self.kinds):
            chosen = kind == number
            inside = [rows.within(chosen) for rows in windows]
            blocks.append(self._recency(ever.within(chosen), times[chosen], moment)[:, None])
            blocks.extend(rows.count[:, None] for rows in inside)
            if value is not None and name in self.paid:
                blocks.extend(np.round(rows.sums(value[chosen]), 2)[:, None] for rows in inside)
        return join_columns([block.astype(np.float32) for block in blocks], len(moment))

    def _recency(self, ever: Rows, times: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """Days since the last of `times` in each range, float64 [n]; at most the longest window."""
        # no event gets the same value as one before the longest window; the counts do not differ either
        return np.minimum((moment - ever.last(times, -np.inf)) / DAY, self.window_days[-1])


@dataclass(frozen=True)
class Exposure:
    """Numbers of ads shown to a shopper and clicked before each impression, for fatigue and responsiveness.

    Clicks are known at once. Conversions are not, so they are not counted.
    """

    window_days: tuple[int, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of counts over windows and over all time; `campaign_` counts ads of the impression's campaign only."""
        windows = tuple(f"shopper_{what}:{days}d" for days in self.window_days for what in ("shown", "clicked"))
        return (*windows, "shopper_shown:ever", "shopper_clicked:ever", "shopper_campaign_shown:1d",
                "shopper_campaign_shown:ever", "shopper_campaign_clicked:ever", "shopper_campaign_recency")  # fmt: skip

    def as_of(
        self, impressions: pd.DataFrame, shopper_id: pd.Series, campaign: pd.Series, moment: np.ndarray
    ) -> np.ndarray:
        """float32 [n, columns] for shoppers, campaigns and moments [n], from impressions [m] strictly before."""
        times = microseconds(impressions["timestamp"])
        anywhere = Timeline.of(impressions["shopper_id"], times)
        campaigns = pd.Index(impressions["campaign"].dropna().unique())
        log = impressions["shopper_id"], impressions["campaign"]
        within = Timeline.of(pd.Series(_pair(*log, anywhere.shoppers, campaigns)), times)
        click = impressions["click"].to_numpy(dtype=np.float64)
        query = pd.Series(_pair(shopper_id, campaign, anywhere.shoppers, campaigns))
        return self.at(
            Shown(anywhere, click[anywhere.order], positions(shopper_id, anywhere.shoppers)),
            Shown(within, click[within.order], positions(query, within.shoppers)),
            moment,
        )

    def at(self, anywhere: "Shown", within: "Shown", moment: np.ndarray) -> np.ndarray:
        """`as_of` from the ads shown to shoppers `anywhere`, and `within` the campaigns of the queries."""
        columns: list[np.ndarray] = []
        for since in (*(moment - days * DAY for days in self.window_days), None):
            rows = anywhere.timeline.rows_of(anywhere.place, moment, since)
            columns += [rows.count, rows.sums(anywhere.click)]
        ever = within.timeline.rows_of(within.place, moment)
        day = within.timeline.rows_of(within.place, moment, moment - DAY)
        columns += [day.count, ever.count, ever.sums(within.click)]
        last = ever.last(within.timeline.moment, -np.inf)
        columns.append(np.minimum((moment - last) / DAY, max(self.window_days)))
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Shown:
    """The ads shown, by shopper or by (shopper, campaign). click: 0/1 float64 [m], in the order of the timeline; place:
    int64 [n], positions of the queries in `timeline.shoppers`, -1: nothing was shown.
    """

    timeline: Timeline
    click: np.ndarray
    place: np.ndarray


def _pair(shopper_id: pd.Series, campaign: pd.Series, shoppers: pd.Index, campaigns: pd.Index) -> np.ndarray:
    """int64 [n], a code for each pair (shopper, campaign) of known ids; -1 if one of them is unknown."""
    left, right = positions(shopper_id, shoppers), positions(campaign, campaigns)
    return np.where((left >= 0) & (right >= 0), left * len(campaigns) + right, -1)
