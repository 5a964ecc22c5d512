"""Judged rows -> one log per logging policy for the estimates, and one of all rows for the gate's bound.

Each row's weight rests on its own propensity, so rows of several logging policies add up in one bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.logged_decisions import LoggedDecisions, logged_decisions
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


def split_logs(
    impressions: pd.DataFrame,
    pairs: pd.DataFrame,
    creatives: pd.DataFrame,
    target: np.ndarray,
    baseline: np.ndarray | None,
    prior: float = 0.0,
) -> Iterator[PolicyLog]:
    """Impressions of several logging policies -> one PolicyLog for each, the largest first (ties: by name).

    impressions: as `logged_decisions` takes them, and `logging_policy`, `click`. pairs: impression_id, creative_id,
    p_click and, where the whole logging distribution is known, propensity; grouped in the order of `impressions`.
    prior: mean click before these rows, which stands for a model on rows of shoppers who refused consent.
    """
    offsets = pair_offsets(pairs, impressions)
    names = impressions["logging_policy"].to_numpy(dtype=object)
    sizes = impressions["logging_policy"].value_counts()
    for name in sorted(sizes.index, key=lambda name: (-sizes[name], name)):
        rows = names == name
        kept = spread(rows, offsets)
        log, own_pairs = _log_of(impressions[rows], pairs[kept], creatives, prior)
        yield PolicyLog(name, log, own_pairs, target[kept], None if baseline is None else baseline[kept])


def pooled_log(
    impressions: pd.DataFrame, pairs: pd.DataFrame, creatives: pd.DataFrame, prior: float = 0.0
) -> LoggedDecisions:
    """The decisions of all logging policies in one log, each with its own propensity; arguments as `split_logs`."""
    return _log_of(impressions, pairs, creatives, prior)[0]


def _log_of(
    impressions: pd.DataFrame, pairs: pd.DataFrame, creatives: pd.DataFrame, prior: float
) -> tuple[LoggedDecisions, pd.DataFrame]:
    """On rows of shoppers who refused consent `prior` stands for what a model says; they teach none."""
    # what is known of the shopper is in the score already, and would cost the reward models far more than it adds
    known = [column for column in impressions if column == "shopper_id" or not column.startswith("shopper_")]
    own = impressions[known].reset_index(drop=True)
    own_pairs = _known_pairs(pairs.reset_index(drop=True))
    offsets = pair_offsets(own_pairs, own)
    consent = own["consent"].to_numpy(dtype=bool) if "consent" in own else np.ones(len(own), dtype=bool)
    log = logged_decisions(
        own,
        own_pairs,
        offsets,
        creatives,
        reward=own["click"].to_numpy(dtype=float),
        score=np.where(spread(consent, offsets), own_pairs["p_click"].to_numpy(), prior),
        consent=consent,
        prior=prior,
    )
    return log, own_pairs


def _known_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs without the logging distribution where it is not known for all of them."""
    if "propensity" in pairs and pairs["propensity"].isna().any():
        return pairs.drop(columns="propensity")
    return pairs
