"""The findings of a validation so far; `check_table` returns them with those of one more table.

The derived columns of a table are computed from earlier findings. Great Expectations checks the table with them, and
the positions of rows that break a rule become faults of these rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from components.contract.validation.broken_rules import Outcome, check_rules
from components.contract.validation.data_report import Unchecked
from components.contract.validation.derived_columns import DEFERRED_COLUMNS, Derived, ValidationState, derive
from components.contract.validation.suites import Rule, Suite, expand


@dataclass(frozen=True)
class Findings:
    """`read_rows`: number of rows of each table as read; `faults`: by table, the reasons of bad rows, by row label."""

    state: ValidationState
    read_rows: Mapping[str, int]
    outcomes: Mapping[str, tuple[Outcome, ...]]
    faults: Mapping[str, pd.Series]
    unchecked: tuple[Unchecked, ...] = ()

    def row_faults(self, name: str) -> pd.Series:
        """The reasons of bad rows of table `name`, by row label."""
        return self.faults.get(name, pd.Series(dtype="str", index=pd.Index([], dtype="int64")))


def check_table(findings: Findings, suite: Suite, deferred: bool = False) -> Findings:
    """`findings` with those of the rules of `suite`; `deferred` checks only the rules that depend on later tables."""
    name, frame = suite.table, findings.state.tables[suite.table]
    derived = derive(name, findings.state, deferred)
    rules = [rule for rule in expand(suite, frame, derived.columns) if is_deferred(rule) == deferred]
    checkable = [rule for rule in rules if not set(rule.columns) & set(derived.unchecked)]
    columns = derived.columns if deferred else pd.concat([frame, derived.columns], axis=1)
    outcomes = check_rules(columns, checkable, findings.state.card.ends_at)
    faults = _reasons(outcomes, findings.row_faults(name))
    valid = {**findings.state.valid, name: frame.drop(index=faults.index) if len(faults) else frame}
    return replace(
        findings,
        state=replace(findings.state, valid=valid),
        outcomes={**findings.outcomes, name: findings.outcomes.get(name, ()) + outcomes},
        faults={**findings.faults, name: faults},
        unchecked=findings.unchecked + _unchecked(rules, derived),
    )


def is_deferred(rule: Rule) -> bool:
    """Whether `rule` reads a column that is only known once a later table has been checked."""
    return bool(set(rule.columns) & set(DEFERRED_COLUMNS.get(rule.table, ())))


def _unchecked(rules: list[Rule], derived: Derived) -> tuple[Unchecked, ...]:
    return tuple(
        Unchecked(rule.table, rule.reason, derived.unchecked[column])
        for rule in rules
        for column in rule.columns
        if column in derived.unchecked
    )


def _reasons(outcomes: tuple[Outcome, ...], earlier: pd.Series) -> pd.Series:
    """Row label -> its distinct reasons, joined by "; ": those in `earlier`, then those of `outcomes`."""
    reasons = [
        pd.Series(outcome.rule.reason, index=outcome.rows, dtype="str") for outcome in outcomes if len(outcome.rows)
    ]
    if not reasons:
        return earlier
    stacked = pd.concat([earlier, *reasons])
    if stacked.index.is_unique:
        return stacked.sort_index()
    return stacked.groupby(level=0).agg(lambda reasons: "; ".join(dict.fromkeys(reasons))).astype("str")
