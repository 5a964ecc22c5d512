"""The rows that select a policy and the rows that judge it, each with the baseline's probabilities."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.log_checks.log_finding import Finding
from components.features import Features
from components.features.time_splits import CALIBRATE, JUDGE, SELECT, TRAIN
from components.policies.eligible import eligible_pairs, logged_columns, pair_offsets, rows_of
from components.policies.proposal import SelectSlice
from components.policies.ragged_rows import spread
from components.policies.temperature import LoggedOutcomes
from components.settings.errors import UserError

# what the log says of an impression beside its features: columns of the contract's table, where it has them
LOGGED = (
    *("placement", "logging_policy", "propensity", "reward", "request_id"),
    *("conversion", "conversion_timestamp", "revenue", "cost", "feedback", "keep_probability"),
)
# impressions, their pairs -> the baseline's probability of each pair, float64 [n_pairs]
Baseline = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Impressions that no model was trained on, in order of time.

    impressions: feature rows with the columns LOGGED (reward is null: not final yet), without the columns of the
    shopper's history, which are most of them and which only the interest model reads. pairs: impression_id,
    creative_id, p_click, maybe p_click_error (its standard error) and, if known, propensity, in the order of the
    impressions: impression i owns the pairs offsets[i]:offsets[i + 1]. baseline: float64 [n_pairs]; None: the logging
    policy. click_rate, prior: mean click and mean final reward of the consenting impressions before these; prior is
    None if none of their rewards is final.
    """

    impressions: pd.DataFrame
    pairs: pd.DataFrame
    offsets: np.ndarray
    baseline: np.ndarray | None
    click_rate: float = 0.0
    prior: float | None = 0.0

    def select_slice(self, judged: int) -> SelectSlice:
        """These rows in the form in which a policy is chosen on them. judged: how many impressions will judge it.

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
            logging=pairs["propensity"].to_numpy(dtype=float) if "propensity" in pairs else None,
            baseline=self.baseline,
            unlogged_share=np.zeros(len(impressions)),
            judged=judged,
        )
        return SelectSlice(impressions, pairs, outcomes)


def held_out(
    tables: dict[str, pd.DataFrame], features: Features, scores: pd.DataFrame, split: str, baseline: Baseline | None
) -> HeldOut:
    """The rows of `split` (select or judge). scores: p_click of the pairs of both splits (interest.score_pairs).

    tables: the contract's, with the column `reward` in impressions (rewards.logged_rewards). UserError if `scores` are
    of other pairs.
    """
    if split not in (SELECT, JUDGE):
        raise ValueError(f"models were trained on the rows of {split}, so these rows can neither select nor judge")
    logged = tables["impressions"]
    columns = [name for name in features.impressions if not name.startswith("shopper_") or name == "shopper_id"]
    impressions = features.of(split, columns=columns)
    impressions = pd.concat([impressions, logged_columns(logged, LOGGED, impressions["impression_id"])], axis=1)
    pairs = eligible_pairs(tables, impressions)
    pairs = pairs.assign(p_click=_scores_of(pairs, scores, impressions["impression_id"]))
    probabilities = None if baseline is None else baseline(impressions, pairs)
    splits = (TRAIN, CALIBRATE, *((SELECT,) if split == JUDGE else ()))
    before = features.of(*splits, columns=("impression_id", "consent", "click"))
    before = before[before["consent"]]
    rewards = logged["reward"].iloc[rows_of(before["impression_id"], logged["impression_id"])].dropna()
    click_rate, prior = float(before["click"].mean()), float(rewards.mean()) if len(rewards) else None
    return HeldOut(impressions, pairs, pair_offsets(pairs, impressions), probabilities, click_rate, prior)


def _scores_of(pairs: pd.DataFrame, scores: pd.DataFrame, impression_id: pd.Series) -> np.ndarray:
    """P(click) of `pairs`, float64 [n_pairs], from the rows of `scores` of these impressions, in the same order."""
    scores = scores[rows_of(scores["impression_id"], impression_id) >= 0].reset_index(drop=True)
    ids = ["impression_id", "creative_id"]
    if len(scores) != len(pairs) or (scores[ids] != pairs[ids]).to_numpy().any():
        raise UserError("the interest model scored other pairs than the eligible ones; run the stage interest again")
    return scores["p_click"].to_numpy()


def rows_from(rows: HeldOut, learned_until: int) -> HeldOut:
    """The rows at or after `learned_until` (microseconds since 1970): a champion is not judged on training rows."""
    timestamp = rows.impressions["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    return filter_rows(rows, timestamp >= learned_until)


def without_shoppers(rows: HeldOut, shoppers: frozenset[str]) -> HeldOut:
    """The rows of all shoppers but these."""
    return filter_rows(rows, ~rows.impressions["shopper_id"].isin(shoppers).to_numpy()) if shoppers else rows


def with_consent(rows: HeldOut) -> HeldOut:
    """The rows of shoppers who have not refused consent; no policy is chosen on the others."""
    return filter_rows(rows, rows.impressions["consent"].to_numpy(dtype=bool))


def with_final_reward(rows: HeldOut) -> HeldOut:
    """The rows whose reward is final."""
    return filter_rows(rows, rows.impressions["reward"].notna().to_numpy())


def rewards_not_final(rows: HeldOut) -> tuple[Finding, ...]:
    """A notice that counts the rows that `with_final_reward` leaves out; empty if there are none."""
    left_out = rows.impressions["reward"].isna()
    if not left_out.any():
        return ()
    share = float(left_out.mean())
    message = f"{int(left_out.sum()):,} impressions ({share:.1%}) are left out because their rewards are not final yet"
    return (Finding("rewards_not_final", "notice", message, share),)


def sampled_unevenly(rows: HeldOut) -> tuple[Finding, ...]:
    """A critical finding if a sampled log kept different shares of its rows, which estimates weigh alike; or empty."""
    if "keep_probability" not in rows.impressions:
        return ()
    kept = rows.impressions["keep_probability"].fillna(1.0)
    if kept.empty or kept.min() == kept.max():
        return ()
    message = (
        f"the log is a sample that kept between {kept.min():.3g} and {kept.max():.3g} of the rows (keep_probability of "
        "impressions), so it over-represents some of them; log every impression, or the same share of all"
    )
    return (Finding("sampled_unevenly", "critical", message, float((kept < kept.max()).mean())),)


def filter_rows(rows: HeldOut, keep: np.ndarray) -> HeldOut:
    """The rows for which `keep` (bool [n]) is true."""
    if keep.all():
        return rows
    pair = spread(keep, rows.offsets) if len(keep) else np.zeros(0, dtype=bool)
    impressions = rows.impressions[keep].reset_index(drop=True)
    pairs = rows.pairs[pair].reset_index(drop=True)
    baseline = None if rows.baseline is None else rows.baseline[pair]
    offsets = pair_offsets(pairs, impressions)
    return replace(rows, impressions=impressions, pairs=pairs, offsets=offsets, baseline=baseline)
