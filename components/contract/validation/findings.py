"""What has been found about a data set so far: each look at a table returns findings with that table's added.

Derived columns are computed from what earlier looks have found, Great Expectations judges the table and them, and its
row positions become reasons against rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from components.contract.validation.broken_rules import Outcome, look
from components.contract.validation.data_report import Unchecked
from components.contract.validation.derived_columns import LATE, Derived, Seen, derive
from components.contract.validation.suites import Rule, Suite, expand


@dataclass(frozen=True)
class Findings:
    """`read_rows`: rows of each table as read; `faults`: per table, labels of bad rows -> all reasons against them."""

    seen: Seen
    read_rows: Mapping[str, int]
    outcomes: Mapping[str, tuple[Outcome, ...]]
    faults: Mapping[str, pd.Series]
    unchecked: tuple[Unchecked, ...] = ()

    def row_faults(self, name: str) -> pd.Series:
        """Reasons against rows of table `name` by their label; empty where none has been found."""
        return self.faults.get(name, pd.Series(dtype="str", index=pd.Index([], dtype="int64")))


def look_at(found: Findings, suite: Suite, late: bool = False) -> Findings:
    """`found`, with the rules of `suite` on its table; `late` asks only those that had to wait for other tables."""
    name, frame = suite.table, found.seen.tables[suite.table]
    derived = derive(name, found.seen, late)
    rules = [rule for rule in expand(suite, frame, derived.columns) if is_late(rule) == late]
    asked = [rule for rule in rules if not set(rule.columns) & set(derived.unchecked)]
    whole = derived.columns if late else pd.concat([frame, derived.columns], axis=1)
    outcomes = look(whole, asked, found.seen.card.ends_at)
    faults = _reasons(outcomes, found.row_faults(name))
    kept = {**found.seen.kept, name: frame.drop(index=faults.index) if len(faults) else frame}
    return replace(
        found,
        seen=replace(found.seen, kept=kept),
        outcomes={**found.outcomes, name: found.outcomes.get(name, ()) + outcomes},
        faults={**found.faults, name: faults},
        unchecked=found.unchecked + _unchecked(rules, derived),
    )


def is_late(rule: Rule) -> bool:
    """Whether `rule` reads a column that is only known once a table further down has been looked at."""
    return bool(set(rule.columns) & set(LATE.get(rule.table, ())))


def _unchecked(rules: list[Rule], derived: Derived) -> tuple[Unchecked, ...]:
    return tuple(
        Unchecked(rule.table, rule.reason, derived.unchecked[column])
        for rule in rules
        for column in rule.columns
        if column in derived.unchecked
    )


def _reasons(outcomes: tuple[Outcome, ...], earlier: pd.Series) -> pd.Series:
    """Row label -> every reason against it, once each and joined by "; ", after what was found `earlier`."""
    found = [pd.Series(one.rule.reason, index=one.rows, dtype="str") for one in outcomes if len(one.rows)]
    if not found:
        return earlier
    stacked = pd.concat([earlier, *found])
    if stacked.index.is_unique:
        return stacked.sort_index()
    return stacked.groupby(level=0).agg(lambda reasons: "; ".join(dict.fromkeys(reasons))).astype("str")
