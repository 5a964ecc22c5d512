"""Findings -> the report, or the one sentence that refuses the data set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from components.contract.schema import TABLES
from components.contract.validation.broken_rules import Outcome
from components.contract.validation.data_report import (
    ABSENT,
    ActionCount,
    DataRefused,
    DataReport,
    RuleCount,
    TableReport,
)
from components.contract.validation.findings import Findings

EXAMPLES = 3


def report_of(found: Findings) -> DataReport:
    """Everything found, table by table in the contract's order, and impressions per creative."""
    return DataReport(
        dataset=found.seen.card.name,
        tables=tuple(_table_report(found, name) for name in TABLES if name in found.seen.tables),
        absent={name: ABSENT[name] for name in TABLES if name not in found.seen.tables},
        unchecked=found.unchecked,
        actions=_actions(found),
    )


def records_of(found: Findings) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """Great Expectations' record of each rule, by table, for the Data Docs."""
    return {name: tuple(one.result for one in outcomes) for name, outcomes in found.outcomes.items()}


def stop_at_bad_table(found: Findings, name: str) -> None:
    """Raise DataRefused for the first rule on table `name` as a whole that is broken."""
    for outcome in found.outcomes[name]:
        if outcome.rule.stops and not outcome.holds:
            raise _refused(f"{_place(outcome)}: {outcome.rule.reason}{_details(found, name, outcome)}", found)


def stop_at_bad_share(found: Findings, max_quarantined: float) -> None:
    """Raise DataRefused where more than `max_quarantined`, a share, or all of a table's rows are bad.

    Of several such tables the one with faults of its own is named, before those that only fell with it.
    """
    over = [name for name, frame in found.seen.tables.items() if _is_over(found, name, max_quarantined)]
    if not over:
        return
    name = next((name for name in over if _own_faults(found, name)), over[0])
    bad, rows = len(found.row_faults(name)), len(found.seen.tables[name])
    worst = max(_own_faults(found, name) or found.outcomes[name], key=lambda outcome: len(outcome.rows))
    limit = f"above validation.max_quarantined {max_quarantined:g}" if bad < rows else "so no row is left"
    raise _refused(
        f"{_fault_text(found, worst)}; in all {bad:,} of {rows:,} rows of {name} are faulty ({bad / rows:.2%}), "
        f"{limit}{_origins(found, name)}",
        found,
    )


def _is_over(found: Findings, name: str, max_quarantined: float) -> bool:
    bad, rows = len(found.row_faults(name)), len(found.seen.tables[name])
    return bad > max_quarantined * rows or (bad == rows > 0)


def _own_faults(found: Findings, name: str) -> list[Outcome]:
    """Broken rules on rows of table `name` that are not about rows of other tables being quarantined."""
    inherited = {f"{column.name}_kept" for column in TABLES[name].columns} | {"candidates_sound"}
    return [one for one in found.outcomes.get(name, ()) if len(one.rows) and not inherited & set(one.rule.columns)]


def _fault_text(found: Findings, outcome: Outcome) -> str:
    rows = "1 row" if len(outcome.rows) == 1 else f"{len(outcome.rows):,} rows"
    details = _details(found, outcome.rule.table, outcome).removeprefix(": ")
    return f"{_place(outcome)}: {outcome.rule.reason} in {rows}, {details}"


def _origins(found: Findings, name: str) -> str:
    """Where rows fell only with rows of other tables: what was wrong with those."""
    if _own_faults(found, name):
        return ""
    faults = [outcome for other in found.seen.tables if other != name for outcome in _own_faults(found, other)]
    return "; it began with " + "; ".join(_fault_text(found, outcome) for outcome in faults[:EXAMPLES])


def _refused(message: str, found: Findings) -> DataRefused:
    return DataRefused(message, report_of(found), records_of(found))


def _place(outcome: Outcome) -> str:
    columns = " and ".join(outcome.rule.columns)
    return f"{outcome.rule.table}.{columns}" if columns else outcome.rule.table


def _details(found: Findings, name: str, outcome: Outcome) -> str:
    """Example rows, or for a rule without rows the columns that are too many or too few."""
    if len(outcome.rows):
        return ": " + _examples_text(_examples(found.seen.tables[name], name, outcome), len(outcome.rows))
    mismatched = outcome.observed.get("details", {}).get("mismatched", {})
    parts = [f"{kind} {', '.join(map(str, columns))}" for kind, columns in sorted(mismatched.items()) if columns]
    return ": " + "; ".join(parts) if parts else ""


def _examples_text(examples: tuple[str, ...], rows: int) -> str:
    return f"for example {', '.join(examples)}" if rows > len(examples) else ", ".join(examples)


def _examples(frame: pd.DataFrame, name: str, outcome: Outcome) -> tuple[str, ...]:
    """The first rows that break the rule: their key, and what they hold in the columns that the rule reads.

    Of rows that share a key those of the first such key come first, with what they differ in.
    """
    key, rows = TABLES[name].key, outcome.rows
    read = [column.removesuffix("_known").removesuffix("_kept") for column in outcome.rule.columns]
    if len(rows) and outcome.rule.stops and set(read) == set(key):
        same = (frame.loc[rows, list(key)] == frame.loc[rows[0], list(key)]).all(axis=1).to_numpy(dtype=bool)
        rows = np.concatenate([rows[same], rows[~same]])
        read += _differing(frame.loc[rows[: same.sum()]])
    shown = [column for column in dict.fromkeys((*key, *read)) if column in frame and frame[column].dtype != object]
    return tuple(_row_text(frame.loc[row], shown) for row in rows[:EXAMPLES])


def _differing(rows: pd.DataFrame) -> list[str]:
    """The first columns in which `rows` differ; bytes are not compared."""
    columns = [column for column in rows if rows[column].dtype != object]
    return [column for column in columns if len(rows[column].drop_duplicates()) > 1][:EXAMPLES]


def _row_text(row: pd.Series, columns: list[str] | tuple[str, ...]) -> str:
    return " ".join(f"{column}={_short(row[column])}" for column in columns)


def _short(value: object, limit: int = 60) -> str:
    text = "null" if value is None or pd.isna(value) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _table_report(found: Findings, name: str) -> TableReport:
    frame, outcomes = found.seen.tables[name], found.outcomes.get(name, ())
    bad = len(found.row_faults(name))
    broken = tuple(
        RuleCount(
            columns=one.rule.columns,
            reason=one.rule.reason,
            severity=one.rule.severity,
            rows=len(one.rows),
            examples=_examples(frame, name, one),
        )
        for one in outcomes
        if not one.holds
    )
    read = found.read_rows[name]
    return TableReport(name, read, read - len(frame), bad, len(frame) - bad, len(outcomes), broken)


def _actions(found: Findings) -> tuple[ActionCount, ...]:
    """Impressions of each creative id as logged, in the order of ids, and how many of them are quarantined."""
    frame = found.seen.tables["impressions"]
    logged = frame["creative_id"].value_counts()
    gone = frame.loc[found.row_faults("impressions").index, "creative_id"].value_counts()
    return tuple(ActionCount(str(one), int(logged[one]), int(gone.get(one, 0))) for one in sorted(logged.index))
