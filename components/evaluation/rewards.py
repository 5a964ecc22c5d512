"""The rewards by which a policy can be judged: one definition each, shared by evaluation, gate, plan and reports.

A reward is a number per impression; more is better. A new reward is one line in REWARDS; `evaluation.reward` chooses
it. Its truth in the simulated shop, if the click law gives one, is one line in components/simulator/truth.py.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.contract.card import DatasetCard
from components.settings.errors import UserError
from components.settings.sections import EvaluationConfig


@dataclass(frozen=True)
class Reward:
    """column: of `impressions`. low, high: the range of the reward. unit: in the plural, as reports name it.

    delayed: final when the data set's conversion window has passed; else at once. In REWARDS, high is None if
    `evaluation.reward_high` sets it, and unit is None if it is the data set's currency.
    """

    name: str
    column: str
    unit: str | None
    low: float
    high: float | None
    delayed: bool

    @property
    def range(self) -> tuple[float, float]:
        """The least and the most that an impression can earn."""
        return self.low, self.high


REWARDS = {
    reward.name: reward
    for reward in (
        Reward("click", "click", "clicks", 0.0, 1.0, delayed=False),
        Reward("conversion", "conversion", "conversions", 0.0, 1.0, delayed=True),  # per impression: 0 if not clicked
        Reward("revenue", "revenue", None, 0.0, None, delayed=True),
    )
}


def reward_of(config: EvaluationConfig, currency: str) -> Reward:
    """The reward that `config` chooses, with its range and unit. UserError if the settings contradict each other."""
    if config.reward not in REWARDS:
        raise UserError(f"evaluation.reward: no reward is called {config.reward!r}; there are {', '.join(REWARDS)}")
    reward = REWARDS[config.reward]
    if reward.high is None and config.reward_high is None:
        raise UserError(
            f"evaluation.reward {reward.name} needs evaluation.reward_high: the most {currency} that one impression "
            "can earn, such as 500"
        )
    if reward.high is not None and config.reward_high is not None:
        raise UserError(
            f"evaluation.reward_high {config.reward_high:g}: a {reward.name} is at most {reward.high:g} as it is; "
            "leave the setting null"
        )
    return replace(reward, unit=reward.unit or currency, high=config.reward_high or reward.high)


def logged_rewards(reward: Reward, impressions: pd.DataFrame, card: DatasetCard) -> np.ndarray:
    """The reward of each of the contract's `impressions`, float64 [n]; NaN if it is not final yet.

    Whether a delayed reward is final depends on the impression's time alone: to leave out only the clicks whose
    conversions are pending would bias the mean. UserError if a final reward is unknown or outside the range.
    """
    if reward.column not in impressions or impressions[reward.column].isna().all():
        raise UserError(
            f"evaluation.reward {reward.name} needs the column {reward.column} of impressions, which {card.name} "
            "does not have"
        )
    earned = impressions[reward.column].to_numpy(dtype=float, na_value=np.nan)
    if reward.delayed:
        window = pd.Timedelta(days=card.conversion_window_days)
        final = (impressions["timestamp"] + window <= pd.Timestamp(card.ends_at)).to_numpy(dtype=bool)
        earned = np.where(np.isnan(earned) & _earned_nothing(impressions), 0.0, earned)
        _refuse(np.isnan(earned) & final, reward, impressions, "is null although the conversion window has passed")
        earned = np.where(final, earned, np.nan)
    _refuse(earned < reward.low, reward, impressions, f"is below {reward.low:g}: leave refunds out of the column")
    above = f"is above {reward.high:g} {reward.unit}"
    if REWARDS[reward.name].high is None:
        above += ": set evaluation.reward_high to the most that one impression can earn"
    _refuse(earned > reward.high, reward, impressions, above)
    return earned


def _earned_nothing(impressions: pd.DataFrame) -> np.ndarray:
    """Rows without a purchase, because nobody clicked or the conversion is known to be 0: bool [n]."""
    nothing = (impressions["click"] == 0).to_numpy(dtype=bool)
    if "conversion" in impressions:
        nothing = nothing | (impressions["conversion"] == 0).fillna(False).to_numpy(dtype=bool)
    return nothing


def _refuse(wrong: np.ndarray, reward: Reward, impressions: pd.DataFrame, fault: str) -> None:
    """UserError that names the first row for which `wrong` (bool [n]) is true, if there is one."""
    if not wrong.any():
        return
    row = impressions.iloc[int(wrong.argmax())]
    raise UserError(
        f"impressions: column {reward.column}: {row[reward.column]} of impression {row['impression_id']} (and of "
        f"{int(wrong.sum()) - 1:,} more) {fault}"
    )
