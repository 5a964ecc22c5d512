"""The judged rows as one log per logging policy, for the estimates, and as one pooled log, for the gate's bound.

Each row is weighted by its own propensity, so one bound can use rows of several logging policies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.held_out import HeldOut, filter_rows
from components.evaluation.logged_decisions import LoggedDecisions, logged_decisions
from components.evaluation.rewards import Reward
from components.policies.ragged_rows import spread


@dataclass(frozen=True)
class PolicyLog:
    """The decisions of one logging policy, and two policies on their pairs: float64 [n_pairs], sums to 1 per row.

    impressions: the rows of `log`, with the columns of HeldOut. baseline: None if the target is compared with the
    logging policy.
    """

    logging_policy: str
    log: LoggedDecisions
    impressions: pd.DataFrame
    target: np.ndarray
    baseline: np.ndarray | None

    def values(self, reward: np.ndarray) -> dict[str, float] | None:
        """The mean reward per impression of both policies and their difference, by each pair's true mean reward.

        None if the baseline is the logging policy and the log has its propensities of the shown creatives alone.
        reward: float64 [n_pairs], known in the simulator alone; for the report, never for an estimate.
        """
        baseline = self.log.logging if self.baseline is None else self.baseline
        if baseline is None:
            return None
        target, base = (float(self.log.expected(reward, policy).mean()) for policy in (self.target, baseline))
        return {"target": target, "baseline": base, "lift": target - base}


def split_logs(rows: HeldOut, creatives: pd.DataFrame, target: np.ndarray, reward: Reward) -> Iterator[PolicyLog]:
    """The log of each logging policy in `rows`, the largest first, then by name. Rewards must be final.

    creatives: feature rows. target: float64 [n_pairs].
    """
    names = rows.impressions["logging_policy"].to_numpy(dtype=object)
    sizes = rows.impressions["logging_policy"].value_counts()
    for name in sorted(sizes.index, key=lambda name: (-sizes[name], name)):
        policy_rows = filter_rows(rows, names == name)
        log, of_policy = pooled_log(policy_rows, creatives, reward), spread(names == name, rows.offsets)
        yield PolicyLog(name, log, policy_rows.impressions, target[of_policy], policy_rows.baseline)


def pooled_log(rows: HeldOut, creatives: pd.DataFrame, reward: Reward) -> LoggedDecisions:
    """The decisions of all logging policies in one log, each with its own propensity; arguments as `split_logs`.

    No model is trained on rows of shoppers who refused consent; their predictions are the constants of `rows`.
    """
    # shopper features are in the score already; as context they would cost the reward models far more than they add
    columns = [name for name in rows.impressions if name == "shopper_id" or not name.startswith("shopper_")]
    impressions, pairs, offsets = rows.impressions[columns], rows.pairs, rows.offsets
    consent = np.ones(len(impressions), dtype=bool)
    if "consent" in impressions:
        consent = impressions["consent"].to_numpy(dtype=bool)
    return logged_decisions(
        impressions,
        pairs,
        offsets,
        creatives,
        impressions["reward"].to_numpy(dtype=float),
        reward_range=reward.range,
        score=np.where(spread(consent, offsets), pairs["p_click"].to_numpy(), rows.click_rate),
        consent=consent,
        prior=rows.prior,
        unit=reward.unit,
    )
