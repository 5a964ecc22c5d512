"""The log's time -> what trains, what calibrates, what selects and what judges, in this order and never at random.

Every choice (model, temperature, form of a policy) is made on `select`. `judge` answers one question: is the chosen
policy better? Looking at it is charged to the ledger (components/evaluation/gate/ledger.py).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import microseconds
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig

TRAIN, CALIBRATE, SELECT, JUDGE = "train", "calibrate", "select", "judge"


@dataclass(frozen=True)
class Splits:
    """Moments in microseconds since 1970 at which training, calibration and selection end (exclusive)."""

    train_until: int
    calibrate_until: int
    select_until: int

    @classmethod
    def fit(cls, impressions: pd.DataFrame, config: FeaturesConfig, ends_at: pd.Timestamp | None) -> "Splits":
        """Shares of the time from the first impression to the last (or to `ends_at`, if that is earlier)."""
        shares = config.train_share, config.calibration_share, config.select_share
        if min(shares) <= 0 or sum(shares) >= 1 - 1e-9:
            named = (
                f"features.train_share {shares[0]}, features.calibration_share {shares[1]} and features.select_share "
                f"{shares[2]}"
            )
            raise UserError(f"{named} must be above 0 and leave time to judge: their sum must be below 1")
        moment = microseconds(impressions["timestamp"])
        first, last = int(moment.min()), int(moment.max()) + 1
        if ends_at is not None:
            last = min(last, int(microseconds(pd.Series([ends_at]))[0]))
        if last - first < 2:
            raise UserError("impressions: column timestamp: all rows have one time, so time cannot split them")
        return cls(*(first + round((last - first) * share) for share in np.cumsum(shares).tolist()))

    def of(self, impressions: pd.DataFrame) -> np.ndarray:
        """impressions [n] -> str [n], one of train, calibrate, select, judge.

        A click is known at once, so no label reaches over a boundary. Rows of one page (`request_id`) go together, with
        the latest of them: what a shopper did on a page must not teach about the same page.
        """
        moment = pd.Series(microseconds(impressions["timestamp"]), index=impressions.index)
        if "request_id" in impressions:
            page = impressions["request_id"]
            moment = moment.groupby(page).transform("max").where(page.notna(), moment)
        names = np.array([TRAIN, CALIBRATE, SELECT, JUDGE])
        ends = [self.train_until, self.calibrate_until, self.select_until]
        return names[np.searchsorted(ends, moment.to_numpy(), side="right")]

    def starts(self, split: str) -> pd.Timestamp:
        """When `split` (calibrate, select or judge) begins."""
        moment = {CALIBRATE: self.train_until, SELECT: self.calibrate_until, JUDGE: self.select_until}[split]
        return pd.Timestamp(moment, unit="us", tz="UTC")

    def may_judge(self, impressions: pd.DataFrame) -> np.ndarray:
        """bool [n]: whether each impression judges, or may do so because its time is unknown (null)."""
        timed = impressions["timestamp"].notna().to_numpy()
        judges = ~timed
        judges[timed] = self.of(impressions[timed]) == JUDGE
        return judges
