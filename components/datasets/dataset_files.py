"""A data set's tables -> its folder: the three logs by day, every other one file. Written aside, then moved in."""

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
    """`folder` holds exactly `tables`, `card` and `notes` (file name -> text) afterwards.

    A build that dies half-way leaves what was there.
    """
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
    """Adds the days of `logs` to the data set in `folder`, puts `whole` tables and `card` in the place of its own.

    `settled`: impressions of earlier days with conversions that are known now; they go beside their day's partition.
    """
    with extending(folder) as fresh:
        for name, table in logs.items():
            _write_days(table, _times_of(name, dict(logs)), fresh / name)
        for name, table in whole.items():
            write_table(table, fresh / f"{name}.parquet")
        for day, rows in settled.groupby(_day_number(settled["timestamp"]), sort=True):
            at = fresh / "impressions" / f"day={day:%Y-%m-%d}" / f"{SETTLED_PREFIX}{card.ends_at:%Y-%m-%d}.parquet"
            write_table(rows[list(SETTLEMENT_COLUMNS)], at)
        write_card(card, fresh)


@contextmanager
def extending(folder: UPath) -> Iterator[UPath]:
    """A copy of `folder` (empty where there is none) to add files to; it takes the folder's place if all goes well."""
    with scratch_folder(folder) as fresh:
        # Links take no time; nothing writes through one, for every write here is to a new file that is then renamed.
        if folder.exists():
            shutil.copytree(folder.path, fresh.path, copy_function=_link, dirs_exist_ok=True)
        yield fresh
        replace_folder(fresh, folder)


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _times_of(name: str, tables: dict[str, pd.DataFrame]) -> pd.Series:
    """When each row happened; a candidate belongs to its impression's day."""
    if name != "candidates":
        return tables[name]["timestamp"]
    impressions = tables["impressions"]
    # Arrow finds four million ids in a second; a pandas index takes ten.
    asked, known = (pa.array(frame["impression_id"]) for frame in (tables[name], impressions))
    return impressions["timestamp"].take(pc.index_in(asked, value_set=known).to_numpy())


def _write_days(table: pd.DataFrame, when: pd.Series, folder: UPath) -> None:
    for day, rows in table.groupby(_day_number(when), sort=True):
        write_table(rows, folder / f"day={day:%Y-%m-%d}" / "part-0.parquet")


def _day_number(when: pd.Series):
    # By number, not by text: strftime over four million times takes longer than everything else.
    return when.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[D]")
