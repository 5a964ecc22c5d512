"""The report of a validation, or the DataRefused with one sentence that says why the data set is refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from components.contract.schema import TABLES
from components.contract.validation.broken_rules import Outcome
from components.contract.validation.data_report import (
    ABSENT_TABLES,
    ActionCount,
    DataRefused,
    DataReport,
    RuleCount,
    TableReport,
)
from components.contract.validation.findings import Findings

EXAMPLES = 3


def report_of(findings: Findings) -> DataReport:
    """The report of `findings`: tables in the contract's order, and impressions per creative."""
    return DataReport(
        dataset=findings.state.card.name,
        tables=tuple(_table_report(findings, name) for name in TABLES if name in findings.state.tables),
        absent={name: ABSENT_TABLES[name] for name in TABLES if name not in findings.state.tables},
        unchecked=findings.unchecked,
        actions=_actions(findings),
    )


def records_of(findings: Findings) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """Great Expectations' record of each rule, by table, for the Data Docs."""
    return {name: tuple(one.result for one in outcomes) for name, outcomes in findings.outcomes.items()}


def stop_at_bad_table(findings: Findings, name: str) -> None:
    """Raise DataRefused for the first broken rule on table `name` as a whole."""
    for outcome in findings.outcomes[name]:
        if outcome.rule.stops and not outcome.holds:
            raise _refused(f"{_place(outcome)}: {outcome.rule.reason}{_details(findings, name, outcome)}", findings)


def stop_at_bad_share(findings: Findings, max_quarantined: float) -> None:
    """Raise DataRefused if the share of a table's bad rows is above `max_quarantined`, or all its rows are bad.

    The message prefers a table with faults of its own to one whose rows are only bad because of another table.
    """
    over = [name for name, frame in findings.state.tables.items() if _is_over(findings, name, max_quarantined)]
    if not over:
        return
    name = next((name for name in over if _own_faults(findings, name)), over[0])
    bad, rows = len(findings.row_faults(name)), len(findings.state.tables[name])
    worst = max(_own_faults(findings, name) or findings.outcomes[name], key=lambda outcome: len(outcome.rows))
    limit = f"above validation.max_quarantined {max_quarantined:g}" if bad < rows else "so no row is left"
    raise _refused(
        f"{_fault_text(findings, worst)}; in all {bad:,} of {rows:,} rows of {name} are faulty ({bad / rows:.2%}), "
        f"{limit}{_origins(findings, name)}",
        findings,
    )


def _is_over(findings: Findings, name: str, max_quarantined: float) -> bool:
    bad, rows = len(findings.row_faults(name)), len(findings.state.tables[name])
    return bad > max_quarantined * rows or (bad == rows > 0)


def _own_faults(findings: Findings, name: str) -> list[Outcome]:
    """Broken rules on rows of table `name`, without those that only say that a row of another table is bad."""
    inherited = {f"{column.name}_kept" for column in TABLES[name].columns} | {"candidates_sound"}
    return [one for one in findings.outcomes.get(name, ()) if len(one.rows) and not inherited & set(one.rule.columns)]


def _fault_text(findings: Findings, outcome: Outcome) -> str:
    rows = "1 row" if len(outcome.rows) == 1 else f"{len(outcome.rows):,} rows"
    details = _details(findings, outcome.rule.table, outcome).removeprefix(": ")
    return f"{_place(outcome)}: {outcome.rule.reason} in {rows}, {details}"


def _origins(findings: Findings, name: str) -> str:
    """The faults of other tables, if the rows of table `name` are bad only because of them."""
    if _own_faults(findings, name):
        return ""
    faults = [outcome for other in findings.state.tables if other != name for outcome in _own_faults(findings, other)]
    return "; the cause is " + "; ".join(_fault_text(findings, outcome) for outcome in faults[:EXAMPLES])


def _refused(message: str, findings: Findings) -> DataRefused:
    return DataRefused(message, report_of(findings), records_of(findings))


def _place(outcome: Outcome) -> str:
    columns = " and ".join(outcome.rule.columns)
    return f"{outcome.rule.table}.{columns}" if columns else outcome.rule.table


def _details(findings: Findings, name: str, outcome: Outcome) -> str:
    """Example rows, or for a rule without rows the superfluous and missing columns."""
    if len(outcome.rows):
        return ": " + _examples_text(_examples(findings.state.tables[name], name, outcome), len(outcome.rows))
    mismatched = outcome.observed.get("details", {}).get("mismatched", {})
    parts = [f"{kind} {', '.join(map(str, columns))}" for kind, columns in sorted(mismatched.items()) if columns]
    return ": " + "; ".join(parts) if parts else ""


def _examples_text(examples: tuple[str, ...], rows: int) -> str:
    return f"for example {', '.join(examples)}" if rows > len(examples) else ", ".join(examples)


def _examples(frame: pd.DataFrame, name: str, outcome: Outcome) -> tuple[str, ...]:
    """The first rows that break the rule: their keys, and their values in the columns that the rule reads.

    Of rows with equal keys, those of the first such key come first, with the columns in which they differ.
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


def _table_report(findings: Findings, name: str) -> TableReport:
    frame, outcomes = findings.state.tables[name], findings.outcomes.get(name, ())
    bad = len(findings.row_faults(name))
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
    read = findings.read_rows[name]
    return TableReport(name, read, read - len(frame), bad, len(frame) - bad, len(outcomes), broken)


def _actions(findings: Findings) -> tuple[ActionCount, ...]:
    """Impressions of each creative id as logged, in the order of ids, and how many of them are quarantined."""
    frame = findings.state.tables["impressions"]
    logged = frame["creative_id"].value_counts()
    quarantined = frame.loc[findings.row_faults("impressions").index, "creative_id"].value_counts()
    return tuple(ActionCount(str(one), int(logged[one]), int(quarantined.get(one, 0))) for one in sorted(logged.index))
