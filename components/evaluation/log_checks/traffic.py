"""The shop's traffic in a log, from which the size of an online experiment follows."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Traffic:
    """Impressions per day, mean reward, and the design effect of shoppers.

    mean_square: of the rewards, over their mean; 1 for clicks. design_effect: variance of the mean reward if shoppers
    are sampled, over that if impressions are sampled; >= 1.
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
    """The traffic in the contract's `impressions` (timestamp, shopper_id), in any order, with rewards float64 [n]."""
    days = max((impressions["timestamp"].max() - impressions["timestamp"].min()) / DAY, 1.0)
    mean = float(reward.mean())
    mean_square = float((reward**2).mean()) / mean if mean else 1.0
    shopper = pd.factorize(impressions["shopper_id"])[0]
    surplus = np.bincount(shopper, reward - mean)  # rewards of each shopper minus the expected ones
    by_impression = mean * (mean_square - mean) * len(reward)
    effect = float((surplus**2).sum()) / by_impression if by_impression else 1.0
    return Traffic(days, len(reward) / days, len(surplus), mean, mean_square, max(effect, 1.0))
