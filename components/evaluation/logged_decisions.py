"""Logged decisions: the eligible actions of each impression, the shown one, its propensity, and the reward.

Eligible actions differ from impression to impression, so pairs (impression, eligible action) are ragged:
impression i owns the pairs offsets[i]:offsets[i + 1].
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.evaluation.log_checks.shopper_ids import shopper_codes
from components.policies.eligible import rows_of
from components.policies.ragged_rows import row_sums, spread
from components.settings.errors import UserError


@dataclass(frozen=True)
class LoggedDecisions:
    """A log in order of time; n impressions, n_pairs pairs, m distinct actions."""

    impression: np.ndarray  # str [n]
    offsets: np.ndarray  # int64 [n + 1]
    action: np.ndarray  # int64 [n_pairs], code of `action_names`
    logged: np.ndarray  # int64 [n], the pair that was shown
    propensity: np.ndarray  # float64 [n], in (0, 1]
    reward: np.ndarray  # float64 [n], within `reward_range`
    cluster: np.ndarray  # int64 [n], code of the shopper; rows of one shopper are dependent
    action_names: np.ndarray  # str [m]
    context: np.ndarray  # float64 [n, d]: inputs of the reward models besides the action
    logging: np.ndarray | None = None  # float64 [n_pairs], sums to 1 per impression; None: only `propensity` is known
    action_features: np.ndarray | None = None  # float64 [m, k]
    score: np.ndarray | None = None  # float64 [n_pairs], P(reward) by a model trained on other rows
    segment: np.ndarray | None = None  # [n]
    reward_range: tuple[float, float] = (0.0, 1.0)
    consent: np.ndarray | None = None  # bool [n]: whether models may be trained on the row; None: on all rows
    prior: float | None = None  # in reward units: q of all pairs without consent; None: the least possible reward
    unit: str = "rewards"  # of the reward, in the plural

    @property
    def n(self) -> int:
        """The number of impressions."""
        return len(self.reward)

    @property
    def consenting(self) -> np.ndarray:
        """Whether models may be trained on each row: bool [n]."""
        return np.ones(self.n, dtype=bool) if self.consent is None else self.consent

    @property
    def constant_prediction(self) -> float:
        """The prediction on rows without consent: `prior`, else the least possible reward.

        Both are fixed before these rows, so estimates stay unbiased. With the latter a doubly robust estimate of those
        rows is inverse propensity scoring.
        """
        return self.reward_range[0] if self.prior is None else self.prior

    def weight(self, policy: np.ndarray) -> np.ndarray:
        """Importance weight of `policy` [n_pairs] at the shown action: float64 [n], >= 0."""
        return policy[self.logged] / self.propensity

    def expected(self, values: np.ndarray, policy: np.ndarray) -> np.ndarray:
        """Mean of `values` [n_pairs] under `policy` [n_pairs], per impression: float64 [n]."""
        return row_sums(values * policy, self.offsets)

    def pairs(self) -> pd.DataFrame:
        """The pairs as a table: impression_id, creative_id, in the log's order."""
        names = {"impression_id": spread(self.impression, self.offsets), "creative_id": self.action_names[self.action]}
        return pd.DataFrame(names)

    def with_reward(self, reward: np.ndarray, reward_range: tuple[float, float]) -> "LoggedDecisions":
        """The same decisions with another reward [n]; `prior` is dropped if the range differs."""
        prior = self.prior if reward_range == self.reward_range else None
        return replace(self, reward=reward, reward_range=reward_range, prior=prior)

    def rows(self, index: np.ndarray) -> "LoggedDecisions":
        """The impressions at `index` (int64, repeats allowed), in that order, with their pairs."""
        counts = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        pair = pairs_of(self.offsets, index)
        within = (self.logged - self.offsets[:-1])[index]
        return replace(
            self,
            impression=self.impression[index],
            offsets=offsets,
            action=self.action[pair],
            logged=offsets[:-1] + within,
            propensity=self.propensity[index],
            reward=self.reward[index],
            cluster=np.unique(self.cluster[index], return_inverse=True)[1],
            context=self.context[index],
            logging=None if self.logging is None else self.logging[pair],
            score=None if self.score is None else self.score[pair],
            segment=None if self.segment is None else self.segment[index],
            consent=None if self.consent is None else self.consent[index],
        )


def pairs_of(offsets: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The pairs of the impressions at `index`, in that order: int64 [their pairs]."""
    counts = np.diff(offsets)[index]
    start = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if len(counts) else np.zeros(0, np.int64)
    return np.arange(counts.sum()) + np.repeat(offsets[:-1][index] - start, counts)


@dataclass(frozen=True)
class Covered:
    """Both policies on the supported pairs, and the mass on the others."""

    log: LoggedDecisions
    target: np.ndarray  # float64 [n_pairs], renormalised
    baseline: np.ndarray | None  # float64 [n_pairs], renormalised; None: the logging policy
    uncovered: float  # share of the target's (or, if larger, the baseline's) mass that was removed
    dropped: int  # impressions left out because all mass of a policy was removed there


def cover(log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None) -> Covered:
    """Both policies without the unsupported actions, renormalised over the others (see `supported`)."""
    with_support = supported(log)
    policies = [target] if baseline is None else [target, baseline]
    masses = [row_sums(policy * with_support, log.offsets) for policy in policies]
    uncovered = max(0.0, max(float(1.0 - mass.mean()) for mass in masses)) if log.n else 0.0
    if uncovered < 1e-12:
        return Covered(log, target, baseline, 0.0, 0)
    keep = np.flatnonzero(np.all([mass > 1e-12 for mass in masses], axis=0))
    pairs, counts = pairs_of(log.offsets, keep), np.diff(log.offsets)[keep]
    target, *others = (
        (policy * with_support)[pairs] / np.repeat(mass[keep], counts)
        for policy, mass in zip(policies, masses, strict=True)
    )
    return Covered(log.rows(keep), target, others[0] if others else None, uncovered, log.n - len(keep))


def supported(log: LoggedDecisions) -> np.ndarray:
    """Whether the log has support for each pair: bool [n_pairs].

    A pair has support if the logging policy gives it probability; if only the shown propensity is known, if the log
    shows its action at least once.
    """
    if log.logging is not None:
        return log.logging > 0
    shown = np.zeros(len(log.action_names), dtype=bool)
    shown[log.action[log.logged]] = True
    return shown[log.action]


def logged_decisions(
    impressions: pd.DataFrame,
    pairs: pd.DataFrame,
    offsets: np.ndarray,
    creatives: pd.DataFrame,
    reward: np.ndarray,
    *,
    reward_range: tuple[float, float] = (0.0, 1.0),
    score: np.ndarray | None = None,
    consent: np.ndarray | None = None,
    prior: float | None = None,
    unit: str = "rewards",
) -> LoggedDecisions:
    """The log in tables of the contract; `pairs` and `offsets` as `policies.eligible.eligible_pairs` gives them.

    impressions: impression_id, shopper_id, creative_id, timestamp, propensity, and any position, segment, shopper_*,
    context_* columns, which become the context. creatives: creative_id and numeric columns, the action's features;
    `feature_*` are used if `features_from` is no later than the first impression. reward: float64 [n]. score: float64
    [n_pairs], of a model trained on earlier impressions. consent: bool [n], whether models may be trained on the row;
    None: on all rows. prior: the prediction on the other rows, such as the mean reward of consenting rows before these.
    UserError if a reward is outside its range: no bound would hold.
    """
    _check_rewards(reward, reward_range, impressions["impression_id"])
    consent = None if consent is None else np.asarray(consent, dtype=bool)
    names = impressions["impression_id"].to_numpy(dtype=object)
    action, shown = (rows_of(table["creative_id"], creatives["creative_id"]) for table in (pairs, impressions))
    return LoggedDecisions(
        impression=names,
        offsets=offsets,
        action=action,
        logged=_shown_pair(action, shown, offsets, names),
        propensity=impressions["propensity"].to_numpy(dtype=float),
        reward=np.asarray(reward, dtype=float),
        cluster=shopper_codes(impressions["shopper_id"]),
        action_names=creatives["creative_id"].to_numpy(dtype=object),
        context=_context(impressions, np.ones(len(impressions), dtype=bool) if consent is None else consent),
        logging=pairs["propensity"].to_numpy(dtype=float) if "propensity" in pairs else None,
        action_features=_action_features(creatives, impressions),
        score=score,
        segment=impressions["segment"].to_numpy() if "segment" in impressions else None,
        reward_range=reward_range,
        consent=consent,
        prior=prior,
        unit=unit,
    )


def _action_features(creatives: pd.DataFrame, impressions: pd.DataFrame) -> np.ndarray | None:
    """The numeric columns of the creatives, float64 [m, k], unknown values 0; None if there is no such column."""
    known = _known_features(creatives, impressions).drop(columns=["creative_id", "campaign", "seed"], errors="ignore")
    numeric = known.select_dtypes("number")
    return np.nan_to_num(numeric.to_numpy(dtype=float)) if len(numeric.columns) else None


def _check_rewards(reward: np.ndarray, reward_range: tuple[float, float], impression_id: pd.Series) -> None:
    low, high = reward_range
    outside = ~((reward >= low) & (reward <= high))
    if outside.any():
        row = int(outside.argmax())
        raise UserError(
            f"the reward {reward[row]:g} of impression {impression_id.iloc[row]} is outside the range "
            f"[{low:g}, {high:g}]"
        )


def _known_features(creatives: pd.DataFrame, impressions: pd.DataFrame) -> pd.DataFrame:
    """The creatives; `feature_*` that became known after the first impression are the mean of the others."""
    if "features_from" not in creatives or not len(impressions):
        return creatives
    later = creatives["features_from"] > impressions["timestamp"].min()
    open_columns = [name for name in creatives if name.startswith("feature_")]
    means = {name: creatives.loc[~later, name].mean() for name in creatives[open_columns].select_dtypes("number")}
    filled = {name: creatives[name].astype(float).mask(later, mean) for name, mean in means.items()}
    return creatives.assign(**filled)


def _shown_pair(action: np.ndarray, shown: np.ndarray, offsets: np.ndarray, impression: np.ndarray) -> np.ndarray:
    """The shown pair of each impression: int64 [n]."""
    match = np.flatnonzero(action == spread(shown, offsets))
    row = np.searchsorted(offsets, match, side="right") - 1
    logged = np.full(len(shown), -1, dtype=np.int64)
    logged[row] = match
    if (logged < 0).any():
        example = impression[logged < 0][:3].tolist()
        raise ValueError(f"{int((logged < 0).sum())} impressions show a creative that was not eligible: {example}")
    return logged


def _context(impressions: pd.DataFrame, consent: np.ndarray) -> np.ndarray:
    """Numeric context as it is, other context as codes, missing values as 0: float64 [n, d].

    consent: bool [n]; a value that occurs in no such row has the code -1, like a null.
    """
    names = [name for name in impressions if name == "position" or name.startswith(("context_", "shopper_"))]
    columns = []
    for name in names:
        column = impressions[name]
        if name == "shopper_id":
            continue
        coded = column if pd.api.types.is_numeric_dtype(column) else _codes(column, consent)
        columns.append(coded.to_numpy(dtype=float, na_value=np.nan))
    stacked = np.column_stack(columns) if columns else np.zeros((len(impressions), 0))
    return np.nan_to_num(stacked, nan=0.0)


def _codes(column: pd.Series, consent: np.ndarray) -> pd.Series:
    levels = pd.factorize(column[consent], sort=True)[1]
    return pd.Series(pd.Index(levels).get_indexer(pd.Index(column)))
