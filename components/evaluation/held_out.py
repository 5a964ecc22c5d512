"""Features and scored pairs -> the rows that select a policy and the rows that judge it, with the baseline on both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features import Features
from components.features.time_splits import CALIBRATE, JUDGE, SELECT, TRAIN
from components.policies.eligible import pair_offsets, rows_of
from components.policies.proposal import Selecting
from components.policies.ragged_rows import spread
from components.policies.temperature import Outcome

# impressions, their pairs -> the baseline's probability of each pair, float64 [n_pairs]
Baseline = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Impressions that no model has learned from, in order of time.

    impressions: feature rows, and placement, logging_policy. pairs: impression_id, creative_id, p_click and, where
    known, propensity, grouped in their order: impression i owns pairs offsets[i]:offsets[i + 1]. baseline: float64
    [n_pairs], or None: the logging policy. prior: mean click of the consenting impressions before these, in [0, 1].
    """

    impressions: pd.DataFrame
    pairs: pd.DataFrame
    offsets: np.ndarray
    baseline: np.ndarray | None
    prior: float = 0.0

    def of_log(self, impressions: pd.DataFrame) -> pd.DataFrame:
        """The contract's rows of these impressions, in the log's order."""
        return impressions.merge(self.impressions[["impression_id"]], on="impression_id")

    def selecting(self, judged: int) -> Selecting:
        """These rows as a policy is chosen on, `judged` being how many impressions will judge it."""
        impressions, pairs = self.impressions, self.pairs
        shown = spread(impressions["creative_id"].to_numpy(dtype=object), self.offsets)
        seen = Outcome(
            score=pairs["p_click"].to_numpy(),
            offsets=self.offsets,
            logged=np.flatnonzero(pairs["creative_id"].to_numpy(dtype=object) == shown),
            propensity=impressions["propensity"].to_numpy(dtype=float),
            reward=impressions["click"].to_numpy(dtype=float),
            logging=_whole(pairs),
            baseline=self.baseline,
            charge=np.zeros(len(impressions)),
            judged=judged,
        )
        return Selecting(impressions, pairs, seen)


def held_out(
    tables: dict[str, pd.DataFrame], features: Features, pairs: pd.DataFrame, split: str, baseline: Baseline | None
) -> HeldOut:
    """The rows of `split` (select or judge). pairs: of both, as the stage interest scored them."""
    if split not in (SELECT, JUDGE):
        raise ValueError(f"the rows of {split} have taught a model, so they can judge none")
    own = tables["impressions"][["impression_id", "placement", "logging_policy"]]
    impressions = features.of(split).merge(own, on="impression_id", how="left")
    kept = rows_of(pairs["impression_id"], impressions["impression_id"]) >= 0
    pairs = pairs[kept].reset_index(drop=True)
    known = None if baseline is None else baseline(impressions, pairs)
    before = features.of(TRAIN, CALIBRATE, *((SELECT,) if split == JUDGE else ()))
    prior = float(before.loc[before["consent"], "click"].mean())
    return HeldOut(impressions, pairs, pair_offsets(pairs, impressions), known, prior)


def _whole(pairs: pd.DataFrame) -> np.ndarray | None:
    """The logging distribution, float64 [n_pairs]; None where it is not known of all pairs."""
    if "propensity" not in pairs or pairs["propensity"].isna().any():
        return None
    return pairs["propensity"].to_numpy(dtype=float)


def later_than(rows: HeldOut, learned_until: int) -> HeldOut:
    """The rows at or after `learned_until` (microseconds): what a champion learned from cannot judge it."""
    moment = rows.impressions["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    return _kept(rows, moment >= learned_until)


def without(rows: HeldOut, shoppers: frozenset[str]) -> HeldOut:
    """The rows of all but these shoppers."""
    return _kept(rows, ~rows.impressions["shopper_id"].isin(shoppers).to_numpy()) if shoppers else rows


def consenting(rows: HeldOut) -> HeldOut:
    """The rows of shoppers who have not refused consent: the others choose nothing about a policy."""
    return _kept(rows, rows.impressions["consent"].to_numpy(dtype=bool))


def _kept(rows: HeldOut, keep: np.ndarray) -> HeldOut:
    if keep.all():
        return rows
    pair = spread(keep, rows.offsets) if len(keep) else np.zeros(0, dtype=bool)
    impressions = rows.impressions[keep].reset_index(drop=True)
    pairs = rows.pairs[pair].reset_index(drop=True)
    baseline = None if rows.baseline is None else rows.baseline[pair]
    return HeldOut(impressions, pairs, pair_offsets(pairs, impressions), baseline, rows.prior)
