"""A user's log and target policy, read from two files and checked: the log's decisions and the target's probabilities.

Every error names the file, the column and an example row.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.evaluation.evaluate import evaluate
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.log_checks.matching import likely_cause, unmatched
from components.evaluation.log_checks.rounding import rounding_of
from components.evaluation.log_checks.row_checks import check_shoppers
from components.evaluation.log_checks.shopper_ids import shopper_codes
from components.evaluation.log_checks.timestamps import parse_times
from components.evaluation.log_tables import finite_numbers, read_log_table, refuse, refuse_nested
from components.evaluation.logged_decisions import LoggedDecisions
from components.evaluation.result import Evaluation
from components.policies.eligible import rows_of
from components.policies.ragged_rows import row_sums
from components.settings.errors import UserError
from components.settings.sections import EvaluationConfig

SUM_TOLERANCE = 1e-5  # of the sum of a target's probabilities, and of each of them beyond [0, 1]
MIN_DECIMALS = 4  # with fewer a target is refused, because its author has more digits


@dataclass(frozen=True)
class LogFiles:
    """The log and the target on its pairs, with findings on both.

    target: float64 [n_pairs], sums to 1 per impression. eligible: bool [n_pairs], pairs that were eligible whatever was
    shown, an argument of `integrity.check_propensities`.
    """

    log: LoggedDecisions
    target: np.ndarray
    eligible: np.ndarray
    findings: tuple[Finding, ...]


def evaluate_files(
    log: str,
    target: str,
    actions: str | None,
    reward_range: tuple[float, float],
    config: EvaluationConfig | None = None,
) -> Evaluation:
    """The evaluation of the policy in file `target` on the log in file `log` (Parquet or CSV), as `adloom evaluate`."""
    files = read_files(log, target, actions, reward_range)
    config = config or EvaluationConfig()
    return evaluate(files.log, files.target, config, findings=files.findings, eligible=files.eligible)


def read_decisions(
    log: str, target: str, actions: str | None, reward_range: tuple[float, float]
) -> tuple[LoggedDecisions, np.ndarray]:
    """The log with its action sets, and the target's probability of every pair: float64 [n_pairs]."""
    files = read_files(log, target, actions, reward_range)
    return files.log, files.target


def read_files(log: str, target: str, actions: str | None, reward_range: tuple[float, float]) -> LogFiles:
    """The checked log and target in two files, with the actions' features if `actions` names a file of them."""
    low, high = reward_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UserError(f"--reward-range {low:g} {high:g}: the first must be below the second, and both finite")
    log_table = read_log_table(log, ("impression_id", "action", "propensity", "reward"))
    impressions = _checked_log(log_table, log, reward_range)
    target_table = read_log_table(target, ("impression_id", "action", "probability"))
    probabilities = _checked_target(target_table, target, impressions, log)
    findings = _unmatched_actions(impressions, probabilities, log, target) + _absent_context(impressions)
    if "shopper_id" in impressions:
        findings += check_shoppers(impressions["shopper_id"].to_numpy(dtype=object))
    features = _action_features(actions, impressions, probabilities)
    return LogFiles(*_decisions(impressions, probabilities, features, reward_range), findings)


def _checked_log(frame: pd.DataFrame, path: str, reward_range: tuple[float, float]) -> pd.DataFrame:
    low, high = reward_range
    refuse(frame, frame["impression_id"].duplicated(), path, "impression_id", "repeats an id")
    propensity, reward = finite_numbers(frame, "propensity", path), finite_numbers(frame, "reward", path)
    above = propensity > 1 + SUM_TOLERANCE
    refuse(frame, (propensity <= 0) | above, path, "propensity", "must be above 0 and at most 1")
    what = f"is outside the reward range [{low:g}, {high:g}] (see --reward-range)"
    refuse(frame, (reward < low) | (reward > high), path, "reward", what)
    checked = {"propensity": propensity.clip(upper=1.0), "reward": reward}
    if "position" in frame:
        checked["position"] = pd.to_numeric(frame["position"], errors="coerce").astype(float)
        refuse(frame, checked["position"].isna() & frame["position"].notna(), path, "position", "is not a number")
        refuse(frame, checked["position"] < 0, path, "position", "is below 0")
    for name in _context_names(frame):
        values = checked.get(name, frame[name])
        if pd.api.types.is_numeric_dtype(values):
            infinite = np.isinf(values.to_numpy(dtype=float, na_value=np.nan))
            refuse(frame, pd.Series(infinite, index=frame.index), path, name, "is not a finite number")
    if "timestamp" in frame:
        checked["timestamp"] = parse_times(
            frame["timestamp"], lambda faulty, what: refuse(frame, faulty, path, "timestamp", what)
        )
    return frame.assign(**checked).reset_index(drop=True)


def _checked_target(frame: pd.DataFrame, path: str, impressions: pd.DataFrame, log: str) -> pd.DataFrame:
    probability = finite_numbers(frame, "probability", path)
    outside = (probability < -SUM_TOLERANCE) | (probability > 1 + SUM_TOLERANCE)
    refuse(frame, outside, path, "probability", "must be between 0 and 1")
    refuse(frame, frame.duplicated(["impression_id", "action"]), path, "action", "repeats an action of an impression")
    known = rows_of(frame["impression_id"], impressions["impression_id"]) >= 0
    cause = likely_cause(frame["impression_id"][~known], impressions["impression_id"])
    refuse(frame, ~known, path, "impression_id", f"names an impression that {log} does not have{cause}")
    absent = rows_of(impressions["impression_id"], frame["impression_id"]) < 0
    refuse(impressions, absent, log, "impression_id", f"has an impression without rows in {path}")
    _check_sums(frame, probability, path)
    return frame.assign(probability=probability.clip(0.0, 1.0))[["impression_id", "action", "probability"]]


def _check_sums(frame: pd.DataFrame, probability: pd.Series, path: str) -> None:
    """UserError if an impression's probabilities do not sum to 1, up to their rounding."""
    rounding, impression = rounding_of(probability.to_numpy()), frame["impression_id"]
    enough = rounding.decimals is None or rounding.decimals >= MIN_DECIMALS
    explained = pd.Series(rounding.error(probability.to_numpy()) * (probability.to_numpy() > 0), index=frame.index)
    allowed = SUM_TOLERANCE + (explained.groupby(impression).transform("sum") if enough else 0.0)
    total = probability.groupby(impression).transform("sum")
    off = (total - 1).abs() > allowed
    digits = "" if enough else f"; they look rounded to {rounding.decimals} decimals, so write more of them"
    example = f"must sum to 1 per impression; one sums to {total[off].iloc[0]:g}{digits}" if off.any() else ""
    refuse(frame, off, path, "probability", example)


def _unmatched_actions(impressions: pd.DataFrame, target: pd.DataFrame, log: str, path: str) -> tuple[Finding, ...]:
    """A notice of logged actions that no row of the target names; UserError if they are plainly a mistake."""
    logged, named = impressions["action"].unique(), target["action"].unique()
    log_only = sorted(set(logged) - set(named))
    if not log_only:
        return ()
    target_only = sorted(set(named) - set(logged))
    if len(log_only) == len(logged):
        raise UserError(
            f"{path}: column action: none of its {len(named):,} actions, such as {_examples(named)}, occurs in the "
            f"column action of {log}, which has {_examples(logged)}{likely_cause(target_only, log_only)}"
        )
    pairs = unmatched(log_only, target_only)
    if pairs:
        examples = ", ".join(f"{left!r} and {right!r}" for left, right in pairs[:3])
        raise UserError(
            f"{path}: column action names {len(pairs)} actions otherwise than {log} does, such as {examples}"
            f"{likely_cause([right for _, right in pairs], [left for left, _ in pairs])}"
        )
    share = float(impressions["action"].isin(log_only).mean())
    message = (
        f"{len(log_only)} of the log's {len(logged)} actions, such as {_examples(log_only)}, are in no row of the "
        f"target ({share:.1%} of the impressions), so the target never shows them"
    )
    return (Finding("unmatched_actions", "notice", message, share),)


def _absent_context(impressions: pd.DataFrame) -> tuple[Finding, ...]:
    """A notice of missing context values and what the reward models get instead."""
    counts = {name: int(impressions[name].isna().sum()) for name in _context_names(impressions)}
    absent = {name: count for name, count in counts.items() if count}
    if not absent:
        return ()
    columns = ", ".join(f"{name} in {count:,}" for name, count in absent.items())
    message = (
        f"context is empty in some of the {len(impressions):,} impressions, and counts as 0 or as unknown: {columns}"
    )
    return (Finding("absent_context", "notice", message, max(absent.values()) / len(impressions)),)


def _context_names(impressions: pd.DataFrame) -> list[str]:
    """The columns that become the context of a decision."""
    return [name for name in impressions if name in ("position", "campaign") or str(name).startswith("context_")]


def _examples(names) -> str:
    return ", ".join(repr(str(name)) for name in sorted(names)[:3])


def _action_features(path: str | None, impressions: pd.DataFrame, target: pd.DataFrame) -> pd.DataFrame | None:
    """Numeric features per action (text becomes codes), indexed by action; None without a file."""
    if path is None:
        return None
    frame = read_log_table(path, ("action",))
    refuse(frame, frame["action"].duplicated(), path, "action", "repeats an action")
    names = [name for name in frame if str(name).startswith("feature_")]
    if not names:
        raise UserError(f"{path}: has no feature_* column")
    used = pd.concat([impressions["action"], target["action"]])
    missing = sorted(set(used) - set(frame["action"]))
    if missing:
        cause = likely_cause(missing, frame["action"])
        raise UserError(
            f"{path}: column action lacks {len(missing)} actions of the log or target, such as {missing[0]}{cause}"
        )
    columns = np.column_stack([_feature_columns(frame, name, path) for name in names])
    return pd.DataFrame(columns).set_axis(frame["action"], axis=0)


def _feature_columns(frame: pd.DataFrame, name: str, path: str) -> np.ndarray:
    """The numbers of one feature: float64 [actions, k]; k is above 1 if it is a list of numbers (an embedding)."""
    nested = frame[name].map(lambda value: isinstance(value, (list, tuple, np.ndarray)))
    if nested.any():
        return _embedding_columns(frame, name, path, nested)
    refuse(frame, frame[name].isna(), path, name, "is empty")
    if pd.api.types.is_numeric_dtype(frame[name]):
        return finite_numbers(frame, name, path).to_numpy()[:, None]
    refuse_nested(frame, name, path)
    return pd.factorize(frame[name].astype(str), sort=True)[0].astype(float)[:, None]


def _embedding_columns(frame: pd.DataFrame, name: str, path: str, nested: pd.Series) -> np.ndarray:
    refuse(frame, ~nested, path, name, "has no list of numbers, while other rows have one")
    length = frame[name].map(len)
    common = int(length.mode().iloc[0])
    refuse(frame, length != common, path, name, f"has a list of another length than {common}, which most rows have")
    what = f"holds lists (type {type(frame[name].iloc[0]).__name__}) that are not of finite numbers"
    refuse(frame, ~frame[name].map(_finite_numbers), path, name, what)
    return np.array([np.asarray(value, dtype=float) for value in frame[name]])


def _finite_numbers(value: object) -> bool:
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return False
    return numbers.ndim == 1 and len(numbers) > 0 and bool(np.isfinite(numbers).all())


def _decisions(
    impressions: pd.DataFrame, target: pd.DataFrame, features: pd.DataFrame | None, reward_range: tuple[float, float]
) -> tuple[LoggedDecisions, np.ndarray, np.ndarray]:
    """The log, the target on its pairs (float64 [n_pairs]), and the pairs eligible whatever was shown (bool [n_pairs]).

    The action set of an impression is its rows of the target; a logged action that is missing is added with probability
    0.
    """
    if "timestamp" in impressions:
        impressions = impressions.iloc[np.argsort(impressions["timestamp"].to_numpy(), kind="stable")]
    shown = impressions[["impression_id", "action"]].assign(probability=0.0)
    pairs = pd.concat([target, shown]).drop_duplicates(["impression_id", "action"], keep="first")
    index = pd.Index(impressions["impression_id"])
    row = index.get_indexer(pairs["impression_id"])
    order = np.argsort(row, kind="stable")
    pairs, row = pairs.iloc[order], row[order]
    names = np.sort(pairs["action"].unique().astype(object))
    action = pd.Index(names).get_indexer(pairs["action"])
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(impressions)))]).astype(np.int64)
    shown_code = pd.Index(names).get_indexer(impressions["action"])
    probability = pairs["probability"].to_numpy(dtype=float)
    decisions = LoggedDecisions(
        impression=impressions["impression_id"].to_numpy(dtype=object),
        offsets=offsets,
        action=action,
        logged=np.flatnonzero(action == shown_code[row]),
        propensity=impressions["propensity"].to_numpy(),
        reward=impressions["reward"].to_numpy(),
        cluster=_clusters(impressions),
        action_names=names,
        context=_numeric_context(impressions),
        action_features=None if features is None else features.loc[names].to_numpy(dtype=float),
        reward_range=reward_range,
    )
    policy = probability / np.repeat(row_sums(probability, offsets), np.diff(offsets))
    return decisions, policy, _eligible(action, probability, offsets)


def _eligible(action: np.ndarray, probability: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The pairs that were eligible whatever was shown: bool [n_pairs].

    An action of probability 0 may be listed, or have been added, only because it was shown. It would look as if it were
    shown whenever it is eligible, so it counts only if all impressions list the same actions.
    """
    size = np.diff(offsets)
    if (size == size[0]).all() and (np.sort(action.reshape(-1, size[0]), axis=1) == np.sort(action[: size[0]])).all():
        return np.ones(len(action), dtype=bool)
    return probability > 0


def _clusters(impressions: pd.DataFrame) -> np.ndarray:
    """The code of each row's shopper; each row with an unknown shopper has its own code: int64 [n]."""
    if "shopper_id" not in impressions:
        return np.arange(len(impressions))
    return shopper_codes(impressions["shopper_id"])


def _numeric_context(impressions: pd.DataFrame) -> np.ndarray:
    """position, campaign and context_* as numbers (text as codes, missing values as 0): float64 [n, d]."""
    names = _context_names(impressions)
    columns = [
        impressions[name].to_numpy(dtype=float, na_value=np.nan)
        if pd.api.types.is_numeric_dtype(impressions[name])
        else pd.factorize(impressions[name], sort=True)[0].astype(float)
        for name in names
    ]
    stacked = np.column_stack(columns) if columns else np.zeros((len(impressions), 0))
    return np.nan_to_num(stacked, nan=0.0, posinf=0.0, neginf=0.0)
