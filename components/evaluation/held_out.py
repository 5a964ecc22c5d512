"""Features and scored pairs -> the rows that select a policy and the rows that judge it, with the baseline on both."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.log_checks.integrity import Finding
from components.features import Features
from components.features.time_splits import CALIBRATE, JUDGE, SELECT, TRAIN
from components.policies.eligible import pair_offsets, rows_of
from components.policies.proposal import SelectSlice
from components.policies.ragged_rows import spread
from components.policies.temperature import LoggedOutcomes

# impressions, their pairs -> the baseline's probability of each pair, float64 [n_pairs]
Baseline = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Impressions that no model has learned from, in order of time.

    impressions: feature rows, and placement, logging_policy, reward (null: not final yet). pairs: impression_id,
    creative_id, p_click and, where known, propensity, grouped in their order: impression i owns pairs
    offsets[i]:offsets[i + 1]. baseline: float64 [n_pairs], or None: the logging policy. click_rate, prior: mean click
    and mean final reward of the consenting impressions before these; prior None: none of them is final.
    """

    impressions: pd.DataFrame
    pairs: pd.DataFrame
    offsets: np.ndarray
    baseline: np.ndarray | None
    click_rate: float = 0.0
    prior: float | None = 0.0

    def of_log(self, impressions: pd.DataFrame) -> pd.DataFrame:
        """The contract's rows of these impressions, in the log's order."""
        return impressions.merge(self.impressions[["impression_id"]], on="impression_id")

    def selecting(self, judged: int) -> SelectSlice:
        """These rows as a policy is chosen on, `judged` being how many impressions will judge it.

        A policy chooses by P(click), so its temperature is chosen by clicks, whatever reward it is judged by.
        """
        impressions, pairs = self.impressions, self.pairs
        shown = spread(impressions["creative_id"].to_numpy(dtype=object), self.offsets)
        outcomes = LoggedOutcomes(
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
        return SelectSlice(impressions, pairs, outcomes)


def held_out(
    tables: dict[str, pd.DataFrame], features: Features, pairs: pd.DataFrame, split: str, baseline: Baseline | None
) -> HeldOut:
    """The rows of `split` (select or judge). pairs: of both, as the stage interest scored them.

    tables: the contract's, and `reward` in impressions (rewards.logged_rewards).
    """
    if split not in (SELECT, JUDGE):
        raise ValueError(f"the rows of {split} have taught a model, so they can judge none")
    own = tables["impressions"][["impression_id", "placement", "logging_policy", "reward"]]
    impressions = features.of(split).merge(own, on="impression_id", how="left")
    ours = rows_of(pairs["impression_id"], impressions["impression_id"]) >= 0
    pairs = pairs[ours].reset_index(drop=True)
    known = None if baseline is None else baseline(impressions, pairs)
    before = features.of(TRAIN, CALIBRATE, *((SELECT,) if split == JUDGE else ()))
    before = before[before["consent"]]
    earned = own["reward"].iloc[rows_of(before["impression_id"], own["impression_id"])].dropna()
    click_rate, prior = float(before["click"].mean()), float(earned.mean()) if len(earned) else None
    return HeldOut(impressions, pairs, pair_offsets(pairs, impressions), known, click_rate, prior)


def _whole(pairs: pd.DataFrame) -> np.ndarray | None:
    """The logging distribution, float64 [n_pairs]; None where it is not known of all pairs."""
    if "propensity" not in pairs or pairs["propensity"].isna().any():
        return None
    return pairs["propensity"].to_numpy(dtype=float)


def later_than(rows: HeldOut, learned_until: int) -> HeldOut:
    """The rows at or after `learned_until` (microseconds): what a champion learned from cannot judge it."""
    moment = rows.impressions["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    return kept(rows, moment >= learned_until)


def without(rows: HeldOut, shoppers: frozenset[str]) -> HeldOut:
    """The rows of all but these shoppers."""
    return kept(rows, ~rows.impressions["shopper_id"].isin(shoppers).to_numpy()) if shoppers else rows


def consenting(rows: HeldOut) -> HeldOut:
    """The rows of shoppers who have not refused consent: the others choose nothing about a policy."""
    return kept(rows, rows.impressions["consent"].to_numpy(dtype=bool))


def final(rows: HeldOut) -> HeldOut:
    """The rows whose reward is final."""
    return kept(rows, rows.impressions["reward"].notna().to_numpy())


def not_final(rows: HeldOut) -> tuple[Finding, ...]:
    """What is told of the rows that `final` leaves out; empty where it leaves out none."""
    left_out = rows.impressions["reward"].isna()
    if not left_out.any():
        return ()
    share = float(left_out.mean())
    words = f"{int(left_out.sum()):,} impressions ({share:.1%}) are left out, for their rewards are not final yet"
    return (Finding("rewards_not_final", "notice", words, share),)


def kept(rows: HeldOut, keep: np.ndarray) -> HeldOut:
    """The rows where `keep` (bool [n]) holds."""
    if keep.all():
        return rows
    pair = spread(keep, rows.offsets) if len(keep) else np.zeros(0, dtype=bool)
    impressions = rows.impressions[keep].reset_index(drop=True)
    pairs = rows.pairs[pair].reset_index(drop=True)
    baseline = None if rows.baseline is None else rows.baseline[pair]
    offsets = pair_offsets(pairs, impressions)
    return replace(rows, impressions=impressions, pairs=pairs, offsets=offsets, baseline=baseline)
