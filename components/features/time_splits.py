"""Split the log by time into train, calibrate, select and judge, in this order.

Every choice (model, temperature, form of a policy) is made on `select`. `judge` only answers whether the chosen policy
is better, and each look at it is charged to the ledger (components/evaluation/gate/ledger.py).
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
        """The splits by shares of the time from the first impression to the last, or to `ends_at` if earlier."""
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
        """str [n]: train, calibrate, select or judge for each impression.

        A click is known at once, so no label is later than its split. Rows of one page (`request_id`) are in the split
        of the latest of them, so that no model is trained on one row of a page and tested on another.
        """
        moment = pd.Series(microseconds(impressions["timestamp"]), index=impressions.index)
        if "request_id" in impressions:
            page = impressions["request_id"]
            moment = moment.groupby(page).transform("max").where(page.notna(), moment)
        names = np.array([TRAIN, CALIBRATE, SELECT, JUDGE])
        ends = [self.train_until, self.calibrate_until, self.select_until]
        return names[np.searchsorted(ends, moment.to_numpy(), side="right")]

    def starts(self, split: str) -> pd.Timestamp:
        """The time at which `split` (calibrate, select or judge) begins."""
        moment = {CALIBRATE: self.train_until, SELECT: self.calibrate_until, JUDGE: self.select_until}[split]
        return pd.Timestamp(moment, unit="us", tz="UTC")

    def may_judge(self, impressions: pd.DataFrame) -> np.ndarray:
        """bool [n]: whether each impression is in `judge`, or could be because its time is null."""
        timed = impressions["timestamp"].notna().to_numpy()
        judges = ~timed
        judges[timed] = self.of(impressions[timed]) == JUDGE
        return judges
