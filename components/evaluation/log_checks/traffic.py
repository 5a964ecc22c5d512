"""What a log says of the shop's traffic: what an online experiment is sized by."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Traffic:
    """Clicks per impression, impressions per day, and how much less an impression says for coming from a known shopper.

    design_effect: variance of the click rate with whole shoppers drawn, over that with single impressions; >= 1.
    """

    days: float
    impressions_per_day: float
    shoppers: int
    click_rate: float
    design_effect: float

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)


def traffic_of(impressions: pd.DataFrame) -> Traffic:
    """The contract's `impressions` (timestamp, shopper_id, click), in any order -> Traffic."""
    click = impressions["click"].to_numpy(dtype=float)
    days = max((impressions["timestamp"].max() - impressions["timestamp"].min()) / DAY, 1.0)
    rate = float(click.mean())
    shopper = pd.factorize(impressions["shopper_id"])[0]
    surplus = np.bincount(shopper, click - rate)  # clicks of each shopper beyond the expected
    alone = rate * (1 - rate) * len(click)
    effect = float((surplus**2).sum()) / alone if alone else 1.0
    return Traffic(days, len(click) / days, len(surplus), rate, max(effect, 1.0))
