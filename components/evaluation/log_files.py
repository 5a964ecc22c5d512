"""Anybody's log and target policy, in two files -> LoggedDecisions and the target's probabilities.

What a file says wrongly is the user's to mend: every fault names the column and an example row.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.files.decoded_size import check_parquet
from components.evaluation.evaluate import evaluate
from components.evaluation.log_checks.integrity import Finding
from components.evaluation.log_checks.matching import likely_cause, unmatched
from components.evaluation.log_checks.rounding import rounding_of
from components.evaluation.log_checks.row_checks import check_shoppers
from components.evaluation.log_checks.shopper_ids import shopper_codes
from components.evaluation.log_checks.timestamps import moments
from components.evaluation.logged_decisions import LoggedDecisions
from components.evaluation.result import Evaluation
from components.policies.ragged_rows import row_sums
from components.settings.errors import UserError, first_line
from components.settings.sections import EvaluationConfig

SUM_TOLERANCE = 1e-5  # of a target's probabilities, and of each of them beyond [0, 1]
ENOUGH_DECIMALS = 4  # a target written with fewer is to be written anew, for its author has the digits
NAMES = ("impression_id", "action", "shopper_id")  # text, whatever it looks like


@dataclass(frozen=True)
class ReadLog:
    """What the files hold: the log, the target on its pairs, and what there is to say of both.

    target: float64 [n_pairs], sums to 1 per impression. eligible: bool [n_pairs], pairs that were eligible whatever was
    shown, as `integrity.check_propensities` takes it.
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
    """Evaluate the policy in file `target` on the log in file `log` (Parquet or CSV), as `adloom evaluate` does."""
    read = read_files(log, target, actions, reward_range)
    return evaluate(read.log, read.target, config or EvaluationConfig(), findings=read.findings, eligible=read.eligible)


def read_decisions(
    log: str, target: str, actions: str | None, reward_range: tuple[float, float]
) -> tuple[LoggedDecisions, np.ndarray]:
    """The log with its action sets, and the target's probability of every pair: float64 [n_pairs]."""
    read = read_files(log, target, actions, reward_range)
    return read.log, read.target


def read_files(log: str, target: str, actions: str | None, reward_range: tuple[float, float]) -> ReadLog:
    """Both files, checked, and the actions' features where a file of them is given."""
    low, high = reward_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UserError(f"--reward-range {low:g} {high:g}: the first must be below the second, and both finite")
    impressions = _checked_log(_read(log, ("impression_id", "action", "propensity", "reward")), log, reward_range)
    wanted = _checked_target(_read(target, ("impression_id", "action", "probability")), target, impressions, log)
    findings = _strangers(impressions, wanted, log, target) + _absent_context(impressions)
    if "shopper_id" in impressions:
        findings += check_shoppers(impressions["shopper_id"].to_numpy(dtype=object))
    features = _action_features(actions, impressions, wanted)
    return ReadLog(*_decisions(impressions, wanted, features, reward_range), findings)


def _read(path: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """A Parquet or CSV file with at least `columns`; ids and actions as text, whatever they look like."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise UserError(f"{path}: must end in .parquet or .csv")
    try:
        if suffix == ".csv":
            _refuse_doubled_names(_csv_names(path), path)
            frame = pd.read_csv(path, dtype=dict.fromkeys(NAMES, str))
            # An action may be called None or NA, which pandas takes for no value in all columns or in none.
            names = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=lambda name: name in NAMES)
            frame = frame.assign(**names.where(names != ""))
        else:
            frame = _with_index(_parquet(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as {suffix[1:]}: {first_line(error)}") from None
    except (
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ) as error:  # what pandas wrote of its own beside the columns
        raise UserError(
            f"{path}: cannot be read as {suffix[1:]}: its metadata are damaged: {first_line(error)}"
        ) from None
    absent = [name for name in columns if name not in frame]
    if absent:
        raise UserError(f"{path}: column {absent[0]} is missing; it has {', '.join(map(str, frame.columns))}")
    if frame.empty:
        raise UserError(f"{path}: has no rows")
    for name in frame:
        if _is_read(name):
            _refuse_nested(frame, name, path)
    return frame.assign(**{name: _text(frame, name, path) for name in ("impression_id", "action") if name in columns})


def _csv_names(path: str) -> list[str]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _refuse_doubled_names(names: list[str], path: str) -> None:
    """UserError where two columns have one name: pandas would call the second one `reward.1` and go on."""
    doubled = next((name for name in names if name and names.count(name) > 1), None)
    if doubled is not None:
        raise UserError(f"{path}: has two columns called {doubled}")


def _parquet(path: str) -> pd.DataFrame:
    """The table in a Parquet file as pandas reads it, its size, checksums and texts looked at before."""
    with open(path, "rb") as file:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)  # where the writer made checksums
        _refuse_doubled_names(parquet.schema_arrow.names, path)
        check_parquet(parquet, file, path)
        table = parquet.read()
    table.validate(full=True)  # else text that is no text raises wherever it is first looked at
    return table.to_pandas()


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the named levels of its index as columns, as pandas writes a table that is indexed by its ids."""
    levels = [name for name in frame.index.names if name is not None and name not in frame]
    return frame.reset_index(levels) if levels else frame


def _is_read(name: object) -> bool:
    known = ("propensity", "reward", "probability", "timestamp", "position", "campaign", *NAMES)
    return name in known or str(name).startswith("context_")


def _refuse_nested(frame: pd.DataFrame, name: str, path: str) -> None:
    """Raise where a column holds lists or the like, which are neither a number nor a name."""
    if frame[name].dtype == object:
        nested = frame[name].map(lambda value: isinstance(value, (list, tuple, dict, set, np.ndarray, bytes)))
        kind = type(frame[name][nested].iloc[0]).__name__ if nested.any() else ""
        _refuse(frame, nested, path, name, f"holds values of type {kind}; it must hold one number or text per row")


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
    above = propensity > 1 + SUM_TOLERANCE
    _refuse(frame, (propensity <= 0) | above, path, "propensity", "must be above 0 and at most 1")
    what = f"is outside the reward range [{low:g}, {high:g}] (see --reward-range)"
    _refuse(frame, (reward < low) | (reward > high), path, "reward", what)
    given = {"propensity": propensity.clip(upper=1.0), "reward": reward}
    if "position" in frame:
        given["position"] = pd.to_numeric(frame["position"], errors="coerce").astype(float)
        _refuse(frame, given["position"].isna() & frame["position"].notna(), path, "position", "is not a number")
    for name in _context_names(frame):
        values = given.get(name, frame[name])
        if pd.api.types.is_numeric_dtype(values):
            infinite = np.isinf(values.to_numpy(dtype=float, na_value=np.nan))
            _refuse(frame, pd.Series(infinite, index=frame.index), path, name, "is not a finite number")
    if "timestamp" in frame:
        given["timestamp"] = moments(
            frame["timestamp"], lambda faulty, what: _refuse(frame, faulty, path, "timestamp", what)
        )
    return frame.assign(**given).reset_index(drop=True)


def _checked_target(frame: pd.DataFrame, path: str, impressions: pd.DataFrame, log: str) -> pd.DataFrame:
    probability = _number(frame, "probability", path)
    outside = (probability < -SUM_TOLERANCE) | (probability > 1 + SUM_TOLERANCE)
    _refuse(frame, outside, path, "probability", "must be between 0 and 1")
    _refuse(frame, frame.duplicated(["impression_id", "action"]), path, "action", "repeats an action of an impression")
    known = frame["impression_id"].isin(impressions["impression_id"])
    cause = likely_cause(frame["impression_id"][~known], impressions["impression_id"])
    _refuse(frame, ~known, path, "impression_id", f"names an impression that {log} does not have{cause}")
    absent = ~impressions["impression_id"].isin(frame["impression_id"])
    _refuse(impressions, absent, log, "impression_id", f"has an impression without rows in {path}")
    _check_sums(frame, probability, path)
    return frame.assign(probability=probability.clip(0.0, 1.0))[["impression_id", "action", "probability"]]


def _check_sums(frame: pd.DataFrame, probability: pd.Series, path: str) -> None:
    """Raise where an impression's probabilities do not sum to 1, up to the rounding that they show."""
    rounding, owner = rounding_of(probability.to_numpy()), frame["impression_id"]
    enough = rounding.decimals is None or rounding.decimals >= ENOUGH_DECIMALS
    explained = pd.Series(rounding.error(probability.to_numpy()) * (probability.to_numpy() > 0), index=frame.index)
    allowed = SUM_TOLERANCE + (explained.groupby(owner).transform("sum") if enough else 0.0)
    total = probability.groupby(owner).transform("sum")
    off = (total - 1).abs() > allowed
    digits = "" if enough else f"; they look rounded to {rounding.decimals} decimals, so write more of them"
    example = f"must sum to 1 per impression; one sums to {total[off].iloc[0]:g}{digits}" if off.any() else ""
    _refuse(frame, off, path, "probability", example)


def _strangers(impressions: pd.DataFrame, target: pd.DataFrame, log: str, path: str) -> tuple[Finding, ...]:
    """Actions of the log that no row of the target names: refused where a mistake is plain, else told of."""
    logged, named = impressions["action"].unique(), target["action"].unique()
    alone = sorted(set(logged) - set(named))
    if not alone:
        return ()
    others = sorted(set(named) - set(logged))
    if len(alone) == len(logged):
        raise UserError(
            f"{path}: column action: none of its {len(named):,} actions, such as {_examples(named)}, occurs in the "
            f"column action of {log}, which has {_examples(logged)}{likely_cause(others, alone)}"
        )
    pairs = unmatched(alone, others)
    if pairs:
        told = ", ".join(f"{left!r} and {right!r}" for left, right in pairs[:3])
        raise UserError(
            f"{path}: column action names {len(pairs)} actions otherwise than {log} does, such as {told}"
            f"{likely_cause([right for _, right in pairs], [left for left, _ in pairs])}"
        )
    rows = float(impressions["action"].isin(alone).mean())
    words = (
        f"{len(alone)} of the log's {len(logged)} actions, such as {_examples(alone)}, are in no row of the target "
        f"({rows:.1%} of the impressions), so the target never shows them"
    )
    return (Finding("unmatched_actions", "notice", words, rows),)


def _absent_context(impressions: pd.DataFrame) -> tuple[Finding, ...]:
    """What the reward models are told in place of values that are not there."""
    counts = {name: int(impressions[name].isna().sum()) for name in _context_names(impressions)}
    absent = {name: count for name, count in counts.items() if count}
    if not absent:
        return ()
    told = ", ".join(f"{name} in {count:,}" for name, count in absent.items())
    words = f"context is empty in some of the {len(impressions):,} impressions, and counts as 0 or as unknown: {told}"
    return (Finding("absent_context", "notice", words, max(absent.values()) / len(impressions)),)


def _context_names(impressions: pd.DataFrame) -> list[str]:
    """The columns that become the context of a decision."""
    return [name for name in impressions if name in ("position", "campaign") or str(name).startswith("context_")]


def _examples(names) -> str:
    return ", ".join(repr(str(name)) for name in sorted(names)[:3])


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
        cause = likely_cause(missing, frame["action"])
        raise UserError(
            f"{path}: column action lacks {len(missing)} actions of the log or target, such as {missing[0]}{cause}"
        )
    coded = np.column_stack([_coded(frame, name, path) for name in names])
    return pd.DataFrame(coded).set_axis(frame["action"], axis=0)


def _coded(frame: pd.DataFrame, name: str, path: str) -> np.ndarray:
    """The numbers of one feature, a list of numbers (an embedding) as several: float64 [actions, k]."""
    nested = frame[name].map(lambda value: isinstance(value, (list, tuple, np.ndarray)))
    if nested.any():
        return _embedded(frame, name, path, nested)
    _refuse(frame, frame[name].isna(), path, name, "is empty")
    if pd.api.types.is_numeric_dtype(frame[name]):
        return _number(frame, name, path).to_numpy()[:, None]
    _refuse_nested(frame, name, path)
    return pd.factorize(frame[name].astype(str), sort=True)[0].astype(float)[:, None]


def _embedded(frame: pd.DataFrame, name: str, path: str, nested: pd.Series) -> np.ndarray:
    _refuse(frame, ~nested, path, name, "has no list of numbers, while other rows have one")
    length = frame[name].map(len)
    usual = int(length.mode().iloc[0])
    _refuse(frame, length != usual, path, name, f"has a list of another length than {usual}, which most rows have")
    what = f"holds lists (type {type(frame[name].iloc[0]).__name__}) that are not of finite numbers"
    _refuse(frame, ~frame[name].map(_finite_numbers), path, name, what)
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
    """Action sets are the target's rows; a logged action that is not among them joins with probability 0.

    Also the target on all pairs, and whether each pair was surely eligible whatever was shown.
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
    return decisions, policy, _surely_eligible(action, probability, offsets)


def _surely_eligible(action: np.ndarray, probability: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Pairs that are no candidates for having been shown alone: bool [n_pairs].

    An action of probability 0 may have been listed, or joined, because it was shown, which would make it look as if it
    were shown whenever it could be; so it counts where all impressions list the same actions only.
    """
    size = np.diff(offsets)
    if (size == size[0]).all() and (np.sort(action.reshape(-1, size[0]), axis=1) == np.sort(action[: size[0]])).all():
        return np.ones(len(action), dtype=bool)
    return probability > 0


def _clusters(impressions: pd.DataFrame) -> np.ndarray:
    """Shopper of each row; rows without a known shopper stand alone: int64 [n]."""
    if "shopper_id" not in impressions:
        return np.arange(len(impressions))
    return shopper_codes(impressions["shopper_id"])


def _numeric_context(impressions: pd.DataFrame) -> np.ndarray:
    """position, campaign and context_* as numbers (text becomes codes, absent values 0): float64 [n, d]."""
    names = _context_names(impressions)
    columns = [
        impressions[name].to_numpy(dtype=float, na_value=np.nan)
        if pd.api.types.is_numeric_dtype(impressions[name])
        else pd.factorize(impressions[name], sort=True)[0].astype(float)
        for name in names
    ]
    stacked = np.column_stack(columns) if columns else np.zeros((len(impressions), 0))
    return np.nan_to_num(stacked, nan=0.0, posinf=0.0, neginf=0.0)
