"""A user's log, target or actions in a Parquet or CSV file, as a table; every error names column and example row."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.files.decoded_size import check_parquet
from components.settings.errors import UserError, first_line

NAMES = ("impression_id", "action", "shopper_id")  # read as text, even if they look like numbers


def read_log_table(path: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The table in a Parquet or CSV file, with ids and actions as text. UserError without one of `columns`, or rows."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise UserError(f"{path}: must end in .parquet or .csv")
    try:
        if suffix == ".csv":
            _refuse_doubled_names(_csv_names(path), path)
            frame = pd.read_csv(path, dtype=dict.fromkeys(NAMES, str))
            # an action may be called None or NA; pandas can read such texts as missing only in all columns or in none
            names = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=lambda name: name in NAMES)
            frame = frame.assign(**names.where(names != ""))
        else:
            frame = _with_index(_parquet(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as {suffix[1:]}: {first_line(error)}") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:  # raised by pandas on damaged metadata
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
            refuse_nested(frame, name, path)
    return frame.assign(**{name: _text(frame, name, path) for name in ("impression_id", "action") if name in columns})


def _csv_names(path: str) -> list[str]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _refuse_doubled_names(names: list[str], path: str) -> None:
    """UserError if two columns have the same name; pandas would rename the second one, such as to `reward.1`."""
    doubled = next((name for name in names if name and names.count(name) > 1), None)
    if doubled is not None:
        raise UserError(f"{path}: has two columns called {doubled}")


def _parquet(path: str) -> pd.DataFrame:
    """The table in a Parquet file, after checks of its size, checksums and texts."""
    with open(path, "rb") as file:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)  # if the file has checksums
        _refuse_doubled_names(parquet.schema_arrow.names, path)
        check_parquet(parquet, file, path)
        table = parquet.read()
    table.validate(full=True)  # otherwise invalid text raises an error wherever it is first used
    return table.to_pandas()


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the named levels of its index as columns, for a table that was written with its ids as index."""
    levels = [name for name in frame.index.names if name is not None and name not in frame]
    return frame.reset_index(levels) if levels else frame


def _is_read(name: object) -> bool:
    known = ("propensity", "reward", "probability", "timestamp", "position", "campaign", *NAMES)
    return name in known or str(name).startswith("context_")


def refuse_nested(frame: pd.DataFrame, name: str, path: str) -> None:
    """UserError if a column holds lists or the like, which are neither numbers nor text."""
    if frame[name].dtype == object:
        nested = frame[name].map(lambda value: isinstance(value, (list, tuple, dict, set, np.ndarray, bytes)))
        kind = type(frame[name][nested].iloc[0]).__name__ if nested.any() else ""
        refuse(frame, nested, path, name, f"holds values of type {kind}; it must hold one number or text per row")


def _text(frame: pd.DataFrame, name: str, path: str) -> pd.Series:
    refuse(frame, frame[name].isna(), path, name, "is empty")
    return frame[name].astype(str)


def finite_numbers(frame: pd.DataFrame, name: str, path: str) -> pd.Series:
    """The column as float64. UserError if a value is missing, not a number or not finite."""
    numbers = pd.to_numeric(frame[name], errors="coerce").astype(float)
    refuse(frame, numbers.isna() & frame[name].notna(), path, name, "is not a number")
    refuse(frame, ~np.isfinite(numbers), path, name, "is not a finite number")
    return numbers


def refuse(frame: pd.DataFrame, faulty: pd.Series | np.ndarray, path: str, column: str, what: str) -> None:
    """UserError about the first faulty row, if there is one; `what` says what is wrong with the column."""
    if faulty.any():
        position = int(np.flatnonzero(faulty)[0])
        row = frame.iloc[position].to_dict()
        shown = ", ".join(f"{name}={value!s}" for name, value in list(row.items())[:5])
        others = f" ({int(faulty.sum()):,} rows)" if faulty.sum() > 1 else ""
        raise UserError(f"{path}: column {column} {what}{others}, such as in row {position + 1}: {shown}")
