"""The rules of one table, from the JSON files in expectations/.

A broken `critical` rule is about the whole table and stops the run. A `warning` rule is about rows; those that break it
go to quarantine with the rule's `meta.reason`. A column written `feature_*` stands for every open column of the table
with that prefix, and with `meta.only: numbers` for every numeric one. Columns that the table lacks are derived
(derived_columns.py); the suite's `meta.derived` says what each holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from upath import UPath

from components.contract.files.tables import read_json
from components.contract.schema import TABLES
from components.settings.errors import UserError
from components.settings.paths import ROOT

SUITES_FOLDER = ROOT / "expectations"


@dataclass(frozen=True)
class Rule:
    """One expectation on one table, in the form of Great Expectations, with the severity and reason of a breach."""

    table: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Literal["critical", "warning"]
    reason: str
    only_numbers: bool = False

    @property
    def stops(self) -> bool:
        """Whether a breach stops the run."""
        return self.severity == "critical"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule reads; none for a rule on the whole table."""
        names = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        return (*(name for name in names if name), *self.kwargs.get("column_list", ()))

    def config(self) -> dict[str, Any]:
        """The expectation in the form of Great Expectations."""
        meta = {"reason": self.reason}
        return {"type": self.type, "kwargs": dict(self.kwargs), "severity": self.severity, "meta": meta}


@dataclass(frozen=True)
class Suite:
    """All rules of one table, and for each derived column what it holds."""

    table: str
    rules: tuple[Rule, ...]
    derived: Mapping[str, str]


def read_suite(table: str, folder: UPath | Path = SUITES_FOLDER) -> Suite:
    """The suite of `table` in `folder`; UserError names the file and the malformed expectation."""
    path = UPath(folder) / f"{table}.json"
    document = read_json(path)
    try:
        rules = tuple(_rule(table, expectation) for expectation in document["expectations"])
        return Suite(table, rules, dict(document["meta"]["derived"]))
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: an expectation lacks {error}, or is not a mapping") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def expand(suite: Suite, frame: pd.DataFrame, derived: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules of `suite` for the columns of `frame`, with `feature_*` replaced by the open columns of the table.

    A rule on one open column is left out if the table lacks it. The rule on the set of columns allows `derived`, too.
    """
    opened = [name for name in map(str, frame.columns) if TABLES[suite.table].is_open(name)]
    expanded: list[Rule] = []
    for rule in suite.rules:
        column = rule.kwargs.get("column", "")
        if "column_set" in rule.kwargs:
            declared = [name for name in rule.kwargs["column_set"] if not name.endswith("*")]
            expanded.append(_with(rule, column_set=[*declared, *opened, *derived]))
        elif column.endswith("*"):
            numeric = [name for name in opened if not rule.only_numbers or _is_number(frame[name])]
            expanded.extend(_with(rule, column=name) for name in numeric if name.startswith(column[:-1]))
        elif not TABLES[suite.table].is_open(column) or column in opened:
            expanded.append(rule)
    return tuple(expanded)


def _rule(table: str, expectation: Mapping[str, Any]) -> Rule:
    severity, reason = expectation["severity"], expectation["meta"]["reason"]
    if severity not in ("critical", "warning"):
        raise ValueError(f"{expectation['type']}: severity is critical or warning, not {severity!r}")
    if not isinstance(reason, str) or not reason:
        raise ValueError(f"{expectation['type']}: meta.reason must be a text for readers of the report, not {reason!r}")
    only_numbers = expectation["meta"].get("only") == "numbers"
    return Rule(table, expectation["type"], dict(expectation["kwargs"]), severity, reason, only_numbers)


def _with(rule: Rule, **changed: Any) -> Rule:
    return Rule(rule.table, rule.type, {**rule.kwargs, **changed}, rule.severity, rule.reason, rule.only_numbers)


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
