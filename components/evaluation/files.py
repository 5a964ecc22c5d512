"""Anybody's log and target policy, in two files -> LoggedDecisions and the target's probabilities.

What a file says wrongly is the user's to mend: every fault names the column and an example row.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from components.config import EvaluationConfig
from components.errors import UserError
from components.evaluation.evaluate import evaluate
from components.evaluation.log import LoggedDecisions
from components.evaluation.result import Evaluation
from components.policy.ragged import row_sums

SUM_TOLERANCE = 1e-6
NAMES = ("impression_id", "action", "shopper_id")  # text, whatever it looks like


def evaluate_files(
    log: str,
    target: str,
    actions: str | None,
    reward_range: tuple[float, float],
    config: EvaluationConfig | None = None,
) -> Evaluation:
    """Evaluate the policy in file `target` on the log in file `log` (Parquet or CSV), as `adloom evaluate` does."""
    decisions, probability = read_decisions(log, target, actions, reward_range)
    return evaluate(decisions, probability, config or EvaluationConfig())


def read_decisions(
    log: str, target: str, actions: str | None, reward_range: tuple[float, float]
) -> tuple[LoggedDecisions, np.ndarray]:
    """The log with its action sets, and the target's probability of every pair: float64 [n_pairs]."""
    low, high = reward_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UserError(f"--reward-range {low:g} {high:g}: the first must be below the second, and both finite")
    impressions = _checked_log(_read(log, ("impression_id", "action", "propensity", "reward")), log, reward_range)
    wanted = _checked_target(_read(target, ("impression_id", "action", "probability")), target, impressions, log)
    return _decisions(impressions, wanted, _action_features(actions, impressions, wanted), reward_range)


def _read(path: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """A Parquet or CSV file with at least `columns`; ids and actions as text, whatever they look like."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise UserError(f"{path}: must end in .parquet or .csv")
    try:
        if suffix == ".csv":
            frame = pd.read_csv(path, dtype=dict.fromkeys(NAMES, str))
            # An action may be called None or NA, which pandas takes for no value in all columns or in none.
            names = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=lambda name: name in NAMES)
            frame = frame.assign(**names.where(names != ""))
        else:
            frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as {suffix[1:]}: {str(error).splitlines()[0]}") from None
    absent = [name for name in columns if name not in frame]
    if absent:
        raise UserError(f"{path}: column {absent[0]} is missing; it has {', '.join(map(str, frame.columns))}")
    if frame.empty:
        raise UserError(f"{path}: has no rows")
    return frame.assign(**{name: _text(frame, name, path) for name in ("impression_id", "action") if name in columns})


def _text(frame: pd.DataFrame, name: str, path: str) -> pd.Series:
    _refuse(frame, frame[name].isna(), path, name, "is empty")
    return frame[name].astype(str)


def _number(frame: pd.DataFrame, name: str, path: str) -> pd.Series:
    numbers = pd.to_numeric(frame[name], errors="coerce").astype(float)
    _refuse(frame, numbers.isna() & frame[name].notna(), path, name, "is not a number")
    _refuse(frame, ~np.isfinite(numbers), path, name, "is not a finite number")
    return numbers


def _refuse(frame: pd.DataFrame, faulty: pd.Series, path: str, column: str, what: str) -> None:
    """Raise about the first faulty row, if there is one."""
    if faulty.any():
        position = int(np.flatnonzero(faulty)[0])
        row = frame.iloc[position].to_dict()
        shown = ", ".join(f"{name}={value!s}" for name, value in list(row.items())[:5])
        others = f" ({int(faulty.sum()):,} rows)" if faulty.sum() > 1 else ""
        raise UserError(f"{path}: column {column} {what}{others}, such as in row {position + 1}: {shown}")


def _checked_log(frame: pd.DataFrame, path: str, reward_range: tuple[float, float]) -> pd.DataFrame:
    low, high = reward_range
    _refuse(frame, frame["impression_id"].duplicated(), path, "impression_id", "repeats an id")
    propensity, reward = _number(frame, "propensity", path), _number(frame, "reward", path)
    _refuse(frame, (propensity <= 0) | (propensity > 1), path, "propensity", "must be above 0 and at most 1")
    what = f"is outside the reward range [{low:g}, {high:g}] (see --reward-range)"
    _refuse(frame, (reward < low) | (reward > high), path, "reward", what)
    given = {"propensity": propensity, "reward": reward}
    if "position" in frame:
        given["position"] = pd.to_numeric(frame["position"], errors="coerce").astype(float)
        _refuse(frame, given["position"].isna() & frame["position"].notna(), path, "position", "is not a number")
    if "timestamp" in frame:
        given["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, errors="coerce", format="mixed")
        _refuse(frame, given["timestamp"].isna(), path, "timestamp", "is not a time")
    return frame.assign(**given).reset_index(drop=True)


def _checked_target(frame: pd.DataFrame, path: str, impressions: pd.DataFrame, log: str) -> pd.DataFrame:
    probability = _number(frame, "probability", path)
    _refuse(frame, (probability < 0) | (probability > 1), path, "probability", "must be between 0 and 1")
    _refuse(frame, frame.duplicated(["impression_id", "action"]), path, "action", "repeats an action of an impression")
    known = frame["impression_id"].isin(impressions["impression_id"])
    _refuse(frame, ~known, path, "impression_id", f"names an impression that {log} does not have")
    absent = ~impressions["impression_id"].isin(frame["impression_id"])
    _refuse(impressions, absent, log, "impression_id", f"has an impression without rows in {path}")
    total = probability.groupby(frame["impression_id"]).transform("sum")
    off = (total - 1).abs() > SUM_TOLERANCE
    example = f"must sum to 1 per impression; one sums to {total[off].iloc[0]:g}" if off.any() else ""
    _refuse(frame, off, path, "probability", example)
    return frame.assign(probability=probability)[["impression_id", "action", "probability"]]


def _action_features(path: str | None, impressions: pd.DataFrame, target: pd.DataFrame) -> pd.DataFrame | None:
    """Numeric features per action (other values become codes); None without a file."""
    if path is None:
        return None
    frame = _read(path, ("action",))
    _refuse(frame, frame["action"].duplicated(), path, "action", "repeats an action")
    names = [name for name in frame if str(name).startswith("feature_")]
    if not names:
        raise UserError(f"{path}: has no feature_* column")
    used = pd.concat([impressions["action"], target["action"]])
    missing = sorted(set(used) - set(frame["action"]))
    if missing:
        raise UserError(
            f"{path}: column action lacks {len(missing)} actions of the log or target, such as {missing[0]}"
        )
    coded = {name: _coded(frame, name, path) for name in names}
    return pd.DataFrame(coded).set_axis(frame["action"], axis=0)


def _coded(frame: pd.DataFrame, name: str, path: str) -> np.ndarray:
    _refuse(frame, frame[name].isna(), path, name, "is empty")
    if pd.api.types.is_numeric_dtype(frame[name]):
        return _number(frame, name, path).to_numpy()
    return pd.factorize(frame[name], sort=True)[0].astype(float)


def _decisions(
    impressions: pd.DataFrame, target: pd.DataFrame, features: pd.DataFrame | None, reward_range: tuple[float, float]
) -> tuple[LoggedDecisions, np.ndarray]:
    """Action sets are the target's rows; a logged action that is not among them joins with probability 0."""
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
    return decisions, probability / np.repeat(row_sums(probability, offsets), np.diff(offsets))


def _clusters(impressions: pd.DataFrame) -> np.ndarray:
    """Shopper of each row; rows without a shopper stand alone: int64 [n]."""
    if "shopper_id" not in impressions:
        return np.arange(len(impressions))
    alone = pd.Series("row " + impressions["impression_id"], index=impressions.index)
    return pd.factorize(impressions["shopper_id"].astype(object).where(impressions["shopper_id"].notna(), alone))[0]


def _numeric_context(impressions: pd.DataFrame) -> np.ndarray:
    """position, campaign and context_* as numbers (text becomes codes, absent values 0): float64 [n, d]."""
    names = [n for n in impressions if n in ("position", "campaign") or str(n).startswith("context_")]
    columns = [
        impressions[name].to_numpy(dtype=float, na_value=np.nan)
        if pd.api.types.is_numeric_dtype(impressions[name])
        else pd.factorize(impressions[name], sort=True)[0].astype(float)
        for name in names
    ]
    stacked = np.column_stack(columns) if columns else np.zeros((len(impressions), 0))
    return np.nan_to_num(stacked, nan=0.0, posinf=0.0, neginf=0.0)
