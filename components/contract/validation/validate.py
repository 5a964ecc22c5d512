"""Validate a data set's tables: valid rows, quarantined rows with reasons, and a report.

Order of work: column types; exact duplicates dropped; the rules of each table; the share of quarantined rows. Parents
are checked before children, so that a key of a quarantined row is a fault. A broken rule on a whole table stops the
run. Impressions are checked after their candidates, because one bad candidate makes the logged distribution
incomplete. Candidates of quarantined impressions are quarantined, too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from upath import UPath

from components.contract.card import CARD_FILE, DatasetCard, read_card
from components.contract.conform import conform, has_dtypes, to_pandas
from components.contract.files.tables import has_table, read_table
from components.contract.schema import TABLES
from components.contract.validation.data_report import DataReport
from components.contract.validation.derived_columns import DEFERRED_COLUMNS, ValidationState
from components.contract.validation.findings import Findings, check_table
from components.contract.validation.refusal import (
    records_of,
    report_of,
    stop_at_bad_share,
    stop_at_bad_table,
)
from components.contract.validation.suites import read_suite
from components.contract.validation.unique_keys import is_unique
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig

# Parents before children; candidates before impressions, whose validity depends on them.
ORDER = ("campaigns", "images", "products", "shoppers", "creatives", "candidates", "impressions", "events")

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class Validated:
    """`tables`: the valid rows, in the contract's types; `quarantine`: the bad rows, with a column `reason`.

    Both have every table of the data set; a table in `quarantine` may be empty. `results`: Great Expectations' record
    of each rule, by table, for the Data Docs.
    """

    tables: Mapping[str, pd.DataFrame]
    quarantine: Mapping[str, pd.DataFrame]
    report: DataReport
    results: Mapping[str, tuple[Mapping[str, Any], ...]]


def load_dataset(folder: UPath, as_of: datetime | None = None) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """The tables and the card of the data set in `folder`, without rows that became known after `as_of` (late_rows.py).

    Columns that the contract does not have are left out, with a notice. UserError if the card does not list exactly
    the tables in the folder.
    """
    folder = UPath(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a data set is a folder of tables and {CARD_FILE}")
    card = read_card(folder)
    for name in TABLES:
        present, listed = has_table(folder, name), name in card.tables
        if listed and not present:
            raise UserError(f"{name}: {folder / CARD_FILE} lists it, but there is no file {folder / f'{name}.parquet'}")
        if present and not listed:
            raise UserError(f"{name}: {folder / CARD_FILE} must list it under real or under simulated")
    _require_needed(card.tables, f" (looked in {folder})")
    tables = {name: read_table(folder, name, as_of=as_of) for name in TABLES if name in card.tables}
    return {name: without_extra_columns(table, name) for name, table in tables.items()}, card


def without_extra_columns(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """`table` without columns that table `name` of the contract does not have, and a notice of those."""
    declared = TABLES[name]
    extra = [column for column in table if declared.column(column) is None and not declared.is_open(column)]
    if not extra:
        return table
    advice = f"; to use one, call it {' or '.join(f'{prefix}NAME' for prefix in declared.open_prefixes)}"
    log.warning(
        "%s: left out, for the contract has no such columns: %s%s",
        name,
        ", ".join(extra),
        advice if declared.open_prefixes else "",
    )
    return table.drop(columns=extra)


def validate(tables: Mapping[str, pd.DataFrame], card: DatasetCard, config: ValidationConfig) -> Validated:
    """Valid rows, quarantined rows and the report; DataRefused (a UserError) for a bad table or too many bad rows.

    Args:
        tables: name -> table; rules that need a missing table are not checked, and the report lists them.
        card: gives the end of the log and the conversion window.
        config: gives `max_quarantined`, the largest share of bad rows in a table.
    """
    _require_needed(tables, "")
    typed = {name: _typed(tables[name], name) for name in ORDER if name in tables}
    suites = {name: read_suite(name) for name in typed}
    once = {name: _without_repeats(frame, TABLES[name].key) for name, frame in typed.items()}
    rows = {name: len(frame) for name, frame in typed.items()}
    findings = Findings(state=ValidationState(card, once, {}), read_rows=rows, outcomes={}, faults={})
    for name in once:
        findings = check_table(findings, suites[name])
        stop_at_bad_table(findings, name)
    for name in DEFERRED_COLUMNS.keys() & once.keys():
        findings = check_table(findings, suites[name], deferred=True)
    stop_at_bad_share(findings, config.max_quarantined)
    return Validated(_valid_rows(findings), _quarantine(findings), report_of(findings), records_of(findings))


def _require_needed(names: Mapping[str, pd.DataFrame] | tuple[str, ...], where: str) -> None:
    for name, table in TABLES.items():
        if table.needed and name not in names:
            raise UserError(f"{name}: there is no such table, and every data set needs it{where}")


def _typed(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """`frame` in the contract's column types, with a new index; UserError names a column of a wrong type.

    A frame that has them, as `read_table` gives it, is returned and not copied.
    """
    if has_dtypes(frame, TABLES[name]):
        return frame
    try:
        arrow = pa.Table.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise UserError(f"{name}: its columns cannot be read as one type each: {str(error).splitlines()[0]}") from None
    return to_pandas(conform(arrow, TABLES[name], "memory"), TABLES[name])


def _without_repeats(frame: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """`frame` without exact duplicates of earlier rows; only rows with equal keys are compared in all columns."""
    if is_unique([frame[column] for column in key]):
        return frame
    shared = frame.duplicated(list(key), keep=False)
    if not shared.any():
        return frame
    repeats = frame[shared].duplicated()
    return frame.drop(index=repeats.index[repeats]).reset_index(drop=True)


def _valid_rows(findings: Findings) -> dict[str, pd.DataFrame]:
    """The rows without faults; if some had any, the others are cast again: a column without nulls has another dtype."""
    tables = findings.state.tables
    return {
        name: frame if frame is tables[name] else _typed(frame, name) for name, frame in findings.state.valid.items()
    }


def _quarantine(findings: Findings) -> dict[str, pd.DataFrame]:
    """The rows with faults, in the table's order, with the column `reason`."""
    return {
        name: frame.loc[findings.row_faults(name).index].assign(reason=findings.row_faults(name)).reset_index(drop=True)
        for name, frame in findings.state.tables.items()
    }
