"""A data set's tables -> the rows that can be trusted, the rows sent to quarantine with their reason, and a report.

Order of work: types; exact duplicates dropped; each table's rules, parents before children, so that a key naming a
quarantined row is seen, and a broken rule on a whole table stops the run; at last the share of rows that is gone.
An impression is judged after its candidates: one bad candidate and its logged distribution is not whole. Candidates of
quarantined impressions go with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from components.contract.card import NAME as CARD
from components.contract.card import DatasetCard, read_card
from components.contract.conform import conform, to_pandas
from components.contract.files.tables import has_table, read_table
from components.contract.schema import TABLES
from components.contract.validation.data_report import DataReport
from components.contract.validation.derived_columns import LATE, Seen
from components.contract.validation.findings import Findings, look_at
from components.contract.validation.refusal import (
    records_of,
    report_of,
    stop_at_bad_share,
    stop_at_bad_table,
)
from components.contract.validation.suites import read_suite
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig

# Parents before children; candidates before the impressions that they vouch for.
ORDER = ("campaigns", "images", "products", "shoppers", "creatives", "candidates", "impressions", "events")


@dataclass(frozen=True)
class Validated:
    """`tables` without bad rows, in the contract's types; `quarantine`: the bad rows with a column `reason`.

    Both have every table of the data set, `quarantine` mostly with no rows. `results`: Great Expectations' record of
    each rule, by table, for the Data Docs.
    """

    tables: Mapping[str, pd.DataFrame]
    quarantine: Mapping[str, pd.DataFrame]
    report: DataReport
    results: Mapping[str, tuple[Mapping[str, Any], ...]]


def load_dataset(folder: UPath, as_of: datetime | None = None) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """The tables and the card of the data set in `folder`; the card and the files must tell of the same tables.

    Rows that came after `as_of` are left out (late_rows.py).
    """
    folder = UPath(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a data set is a folder of tables and {CARD}")
    card = read_card(folder)
    for name in TABLES:
        there, told = has_table(folder, name), name in card.tables
        if told and not there:
            raise UserError(f"{name}: {folder / CARD} lists it, but there is no file {folder / f'{name}.parquet'}")
        if there and not told:
            raise UserError(f"{name}: {folder / CARD} must list it under real or under simulated")
    _require_needed(card.tables, f" (looked in {folder})")
    return {name: read_table(folder, name, as_of=as_of) for name in TABLES if name in card.tables}, card


def validate(tables: Mapping[str, pd.DataFrame], card: DatasetCard, config: ValidationConfig) -> Validated:
    """Good rows, bad rows and the report; DataRefused (a UserError) where a table, or too many of its rows, are bad.

    Args:
        tables: the data set's tables by name; absent ones switch off rules, and the report says which.
        card: gives the time the log ends and the conversion window.
        config: `max_quarantined`, the share of a table's rows that may be bad.
    """
    _require_needed(tables, "")
    typed = {name: _typed(tables[name], name) for name in ORDER if name in tables}
    suites = {name: read_suite(name) for name in typed}
    once = {name: _without_repeats(frame, TABLES[name].key) for name, frame in typed.items()}
    rows = {name: len(frame) for name, frame in typed.items()}
    found = Findings(seen=Seen(card, once, {}), read_rows=rows, outcomes={}, faults={})
    for name in once:
        found = look_at(found, suites[name])
        stop_at_bad_table(found, name)
    for name in LATE.keys() & once.keys():
        found = look_at(found, suites[name], late=True)
    stop_at_bad_share(found, config.max_quarantined)
    return Validated(_kept(found), _quarantine(found), report_of(found), records_of(found))


def _require_needed(names: Mapping[str, pd.DataFrame] | tuple[str, ...], where: str) -> None:
    for name, table in TABLES.items():
        if table.needed and name not in names:
            raise UserError(f"{name}: there is no such table, and no data set can do without it{where}")


def _typed(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """`frame` in the contract's column types on a fresh index, or a UserError that names the column."""
    try:
        arrow = pa.Table.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise UserError(f"{name}: its columns cannot be read as one type each: {str(error).splitlines()[0]}") from None
    return to_pandas(conform(arrow, TABLES[name], "memory"), TABLES[name])


def _without_repeats(frame: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """`frame` without exact repeats of earlier rows; only rows that share a key are compared whole."""
    if _is_unique([frame[column] for column in key]):
        return frame
    shared = frame.duplicated(list(key), keep=False)
    if not shared.any():
        return frame
    repeats = frame[shared].duplicated()
    return frame.drop(index=repeats.index[repeats]).reset_index(drop=True)


def _is_unique(key: list[pd.Series]) -> bool:
    """Whether the rows' keys are surely distinct, found without hashing millions of ids.

    Logs are mostly written in the order of their first id, so rows that share it are neighbours. False means that it is
    not known: the ids are in another order, one is null, or there are more than two.
    """
    if any(column.isna().any() for column in key) or len(key[0]) == 0 or len(key) > 2:
        return False
    first, others = _text(key[0]), key[1:]
    steps = pc.less if not others else pc.less_equal
    if not pc.all(steps(first[:-1], first[1:]), min_count=0).as_py():
        return False
    if not others:
        return True
    run = np.concatenate([[0], np.cumsum(pc.not_equal(first[:-1], first[1:]).to_numpy(zero_copy_only=False))])
    codes, distinct = pd.factorize(key[1])
    pairs = np.sort(run * len(distinct) + codes)
    return bool((pairs[1:] > pairs[:-1]).all())


def _text(column: pd.Series) -> pa.Array:
    """`column` in one piece."""
    values = pa.array(column, pa.large_string())
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _kept(found: Findings) -> dict[str, pd.DataFrame]:
    """Rows against which there is no reason; typed anew, for a column that has lost its nulls is plain again."""
    return {name: _typed(frame, name) for name, frame in found.seen.kept.items()}


def _quarantine(found: Findings) -> dict[str, pd.DataFrame]:
    """Rows against which there are reasons, in the table's order, with the column `reason`."""
    return {
        name: frame.loc[found.row_faults(name).index].assign(reason=found.row_faults(name)).reset_index(drop=True)
        for name, frame in found.seen.tables.items()
    }
