"""Write and extend a data set's folder atomically: the three logs partitioned by day, one file for any other table."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from components.contract.card import DatasetCard, write_card
from components.contract.files.atomic_files import replace_folder, scratch_folder
from components.contract.files.settlements import SETTLED_PREFIX, SETTLEMENT_COLUMNS
from components.contract.files.tables import write_table, write_text

BY_DAY = ("events", "impressions", "candidates")


def write_dataset(
    tables: dict[str, pd.DataFrame], card: DatasetCard, folder: UPath, notes: Mapping[str, str] | None = None
) -> None:
    """Replace `folder` by exactly `tables`, `card` and `notes` (file name -> text), atomically."""
    with scratch_folder(folder) as fresh:
        for name, table in tables.items():
            if name in BY_DAY:
                _write_days(table, _times_of(name, tables), fresh / name)
            else:
                write_table(table, fresh / f"{name}.parquet")
        for name, note in (notes or {}).items():
            write_text(note, fresh / name)
        write_card(card, fresh)
        replace_folder(fresh, folder)


def extend_dataset(
    folder: UPath,
    logs: Mapping[str, pd.DataFrame],
    whole: Mapping[str, pd.DataFrame],
    settled: pd.DataFrame,
    card: DatasetCard,
) -> None:
    """Add the days of `logs` to the data set in `folder`, and replace its `whole` tables and its card.

    settled: impressions of earlier days whose conversions are final now, written beside their day's partition.
    """
    with extended_copy(folder) as fresh:
        for name, table in logs.items():
            _write_days(table, _times_of(name, dict(logs)), fresh / name)
        for name, table in whole.items():
            write_table(table, fresh / f"{name}.parquet")
        for day, rows in settled.groupby(_day_number(settled["timestamp"]), sort=True):
            name = f"{SETTLED_PREFIX}{card.ends_at:%Y-%m-%d}.parquet"
            write_table(rows[list(SETTLEMENT_COLUMNS)], fresh / "impressions" / f"day={day:%Y-%m-%d}" / name)
        write_card(card, fresh)


@contextmanager
def extended_copy(folder: UPath) -> Iterator[UPath]:
    """A copy of `folder` (empty if there is none) to add files to, which replaces it if no exception is raised."""
    with scratch_folder(folder) as fresh:
        # Hard links take no time. Nothing writes through one, since every write is to a new file that is then renamed.
        if folder.exists():
            shutil.copytree(folder.path, fresh.path, copy_function=_link, dirs_exist_ok=True)
        yield fresh
        replace_folder(fresh, folder)


def _link(source: str, target: str) -> None:
    """Make a hard link, or a copy on a file system without links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _times_of(name: str, tables: dict[str, pd.DataFrame]) -> pd.Series:
    """The time of each row; for a candidate, that of its impression."""
    if name != "candidates":
        return tables[name]["timestamp"]
    impressions = tables["impressions"]
    # Arrow looks up four million ids in a second, a pandas index in ten.
    ids, known = (pa.array(frame["impression_id"]) for frame in (tables[name], impressions))
    return impressions["timestamp"].take(pc.index_in(ids, value_set=known).to_numpy())


def _write_days(table: pd.DataFrame, when: pd.Series, folder: UPath) -> None:
    for day, rows in table.groupby(_day_number(when), sort=True):
        write_table(rows, folder / f"day={day:%Y-%m-%d}" / "part-0.parquet")


def _day_number(when: pd.Series):
    # Not strftime, which takes longer than everything else at four million times.
    return when.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[D]")
