"""Judged rows -> one log per logging policy for the estimates, and one of all rows for the gate's bound.

Each row's weight rests on its own propensity, so rows of several logging policies add up in one bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.held_out import HeldOut, kept
from components.evaluation.logged_decisions import LoggedDecisions, logged_decisions
from components.evaluation.rewards import Reward
from components.policies.eligible import pair_offsets
from components.policies.ragged_rows import spread


@dataclass(frozen=True)
class PolicyLog:
    """The decisions of one logging policy, with two policies on their pairs: float64 [n_pairs] each, sums to 1 per row.

    baseline is None where the logging policy itself is what the target is compared with.
    """

    logging_policy: str
    log: LoggedDecisions
    pairs: pd.DataFrame
    target: np.ndarray
    baseline: np.ndarray | None

    def values(self, reward: np.ndarray) -> dict[str, float]:
        """What both policies earn per impression, and their difference, where each pair's mean reward is known.

        reward: float64 [n_pairs]. The simulator's truth is computed this way, for the page alone.
        """
        baseline = self.log.logging if self.baseline is None else self.baseline
        target, base = (float(self.log.expected(reward, policy).mean()) for policy in (self.target, baseline))
        return {"target": target, "baseline": base, "lift": target - base}


def split_logs(rows: HeldOut, creatives: pd.DataFrame, target: np.ndarray, reward: Reward) -> Iterator[PolicyLog]:
    """Rows of several logging policies, their rewards final -> a PolicyLog for each, the largest first (ties: by name).

    creatives: feature rows. target: float64 [n_pairs].
    """
    names = rows.impressions["logging_policy"].to_numpy(dtype=object)
    sizes = rows.impressions["logging_policy"].value_counts()
    for name in sorted(sizes.index, key=lambda name: (-sizes[name], name)):
        part = kept(rows, names == name)
        log, pairs = _log_of(part, creatives, reward)
        yield PolicyLog(name, log, pairs, target[spread(names == name, rows.offsets)], part.baseline)


def pooled_log(rows: HeldOut, creatives: pd.DataFrame, reward: Reward) -> LoggedDecisions:
    """The decisions of all logging policies in one log, each with its own propensity; arguments as `split_logs`."""
    return _log_of(rows, creatives, reward)[0]


def _log_of(rows: HeldOut, creatives: pd.DataFrame, reward: Reward) -> tuple[LoggedDecisions, pd.DataFrame]:
    """On rows of shoppers who refused consent the priors of `rows` stand for what models say; they teach none."""
    impressions = rows.impressions
    # what is known of the shopper is in the score already, and would cost the reward models far more than it adds
    known = [column for column in impressions if column == "shopper_id" or not column.startswith("shopper_")]
    own = impressions[known].reset_index(drop=True)
    own_pairs = _known_pairs(rows.pairs.reset_index(drop=True))
    offsets = pair_offsets(own_pairs, own)
    consent = own["consent"].to_numpy(dtype=bool) if "consent" in own else np.ones(len(own), dtype=bool)
    log = logged_decisions(
        own,
        own_pairs,
        offsets,
        creatives,
        reward=own["reward"].to_numpy(dtype=float),
        reward_range=reward.range,
        score=np.where(spread(consent, offsets), own_pairs["p_click"].to_numpy(), rows.click_rate),
        consent=consent,
        prior=rows.prior,
        unit=reward.unit,
    )
    return log, own_pairs


def _known_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs without the logging distribution where it is not known for all of them."""
    if "propensity" in pairs and pairs["propensity"].isna().any():
        return pairs.drop(columns="propensity")
    return pairs
