"""The log's time -> what teaches, what calibrates and what judges, in this order and never at random."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.errors import UserError
from components.features.history import microseconds

TRAIN, CALIBRATION, EVALUATION = "train", "calibration", "evaluation"


@dataclass(frozen=True)
class Splits:
    """Moments in microseconds since 1970: training ends (exclusive), calibration ends (exclusive)."""

    train_until: int
    calibrate_until: int

    @classmethod
    def fit(
        cls, impressions: pd.DataFrame, train_share: float, calibration_share: float, ends_at: pd.Timestamp | None
    ) -> "Splits":
        """Shares of the time from the first impression to the last (or to `ends_at`, if that is earlier)."""
        if train_share <= 0 or calibration_share <= 0 or train_share + calibration_share >= 1:
            raise UserError(
                f"features.train_share {train_share} and features.calibration_share {calibration_share} must be above "
                "0 and leave time for evaluation: their sum must be below 1"
            )
        moment = microseconds(impressions["timestamp"])
        first, last = int(moment.min()), int(moment.max()) + 1
        if ends_at is not None:
            last = min(last, int(pd.Timestamp(ends_at).as_unit("us").value))
        if last - first < 2:
            raise UserError("impressions: column timestamp: all rows have one time, so time cannot split them")
        span = last - first
        return cls(first + round(span * train_share), first + round(span * (train_share + calibration_share)))

    def of(self, impressions: pd.DataFrame) -> np.ndarray:
        """impressions [n] -> str [n], one of train, calibration, evaluation.

        A click is known at once, so no label reaches over a boundary. Rows of one page (`request_id`) go together, with
        the latest of them: what a shopper did on a page must not teach about the same page.
        """
        moment = pd.Series(microseconds(impressions["timestamp"]), index=impressions.index)
        if "request_id" in impressions:
            page = impressions["request_id"]
            moment = moment.groupby(page).transform("max").where(page.notna(), moment)
        later = np.array([TRAIN, CALIBRATION, EVALUATION])
        return later[np.searchsorted([self.train_until, self.calibrate_until], moment.to_numpy(), side="right")]

    def may_judge(self, impressions: pd.DataFrame) -> np.ndarray:
        """Whether each of `impressions` judges, or may do so for nobody knows its time (null): bool [n]."""
        timed = impressions["timestamp"].notna().to_numpy()
        judges = ~timed
        judges[timed] = self.of(impressions[timed]) == EVALUATION
        return judges
