"""One log per logging policy: different logging policies are evaluated separately, and the largest log decides."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.log import LoggedDecisions, logged_decisions
from components.policy.eligible import pair_offsets
from components.policy.ragged import spread


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

        reward: float64 [n_pairs]. No estimate: the world's truth comes this way, for the page alone.
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
) -> Iterator[PolicyLog]:
    """Impressions of several logging policies -> one PolicyLog for each, the largest first (ties: by name).

    impressions: as `logged_decisions` takes them, and `logging_policy`, `click`. pairs: impression_id, creative_id,
    p_click and, where the whole logging distribution is known, propensity; grouped in the order of `impressions`.
    """
    offsets = pair_offsets(pairs, impressions)
    names = impressions["logging_policy"].to_numpy(dtype=object)
    sizes = impressions["logging_policy"].value_counts()
    for name in sorted(sizes.index, key=lambda name: (-sizes[name], name)):
        rows = names == name
        kept = spread(rows, offsets)
        # what is known of the shopper is in the score already, and would cost the reward models far more than it adds
        known = [column for column in impressions if column == "shopper_id" or not column.startswith("shopper_")]
        own = impressions.loc[rows, known].reset_index(drop=True)
        own_pairs = _known_pairs(pairs[kept].reset_index(drop=True))
        log = logged_decisions(
            own,
            own_pairs,
            pair_offsets(own_pairs, own),
            creatives,
            reward=own["click"].to_numpy(dtype=float),
            score=own_pairs["p_click"].to_numpy(),
        )
        yield PolicyLog(name, log, own_pairs, target[kept], None if baseline is None else baseline[kept])


def _known_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs without the logging distribution where it is not known for all of them."""
    if "propensity" in pairs and pairs["propensity"].isna().any():
        return pairs.drop(columns="propensity")
    return pairs
