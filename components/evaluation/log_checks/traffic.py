"""What a log says of the shop's traffic: what an online experiment is sized by."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Traffic:
    """Reward per impression, impressions per day, and how much less an impression says for coming from a known shopper.

    mean_square: of the rewards, over their mean; 1 for clicks. design_effect: variance of the mean reward with whole
    shoppers drawn, over that with single impressions; >= 1.
    """

    days: float
    impressions_per_day: float
    shoppers: int
    mean_reward: float
    mean_square: float
    design_effect: float

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)


def traffic_of(impressions: pd.DataFrame, reward: np.ndarray) -> Traffic:
    """The contract's `impressions` (timestamp, shopper_id), in any order, and their rewards float64 [n] -> Traffic."""
    days = max((impressions["timestamp"].max() - impressions["timestamp"].min()) / DAY, 1.0)
    mean = float(reward.mean())
    mean_square = float((reward**2).mean()) / mean if mean else 1.0
    shopper = pd.factorize(impressions["shopper_id"])[0]
    surplus = np.bincount(shopper, reward - mean)  # rewards of each shopper beyond the expected
    alone = mean * (mean_square - mean) * len(reward)
    effect = float((surplus**2).sum()) / alone if alone else 1.0
    return Traffic(days, len(reward) / days, len(surplus), mean, mean_square, max(effect, 1.0))
