"""Great Expectations at work: a table and its rules -> which rules are broken, and by which rows.

The cheap question (does each rule hold?) is asked of all rules at once; the rows are listed for broken rules alone, so
that millions of rows stay a matter of seconds. Great Expectations is imported when the first table is looked at.

Its data sources hash every cell of a table, twice, to give the batch a fingerprint that nothing here reads: half of the
time at millions of rows. So a table is handed to its Validator as a batch of its own, without a data source.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from components.contract.validation.suites import Rule


@dataclass(frozen=True)
class Outcome:
    """One rule as it was found: `rows` int64, positions in the table of those that break it, ascending.

    A broken rule on the whole table has no rows. `result` is Great Expectations' own record, for the Data Docs.
    """

    rule: Rule
    holds: bool
    rows: np.ndarray
    result: Mapping[str, Any]

    @property
    def observed(self) -> Mapping[str, Any]:
        """What Great Expectations measured: counts, an observed value, columns too many or too few."""
        return self.result.get("result", {})


def look(frame: pd.DataFrame, rules: Sequence[Rule], ends_at: datetime) -> tuple[Outcome, ...]:
    """Each of `rules` on `frame`, in their order; `ends_at` is what `$PARAMETER: ends_at` stands for."""
    frame, outcomes = frame.reset_index(drop=True), {}
    for columns, places in _grouped(frame, rules).items():
        shown = frame if columns is None else frame[list(columns)]
        found = _look(shown, [rules[place] for place in places], ends_at)
        outcomes |= dict(zip(places, found, strict=True))
    return tuple(outcomes[place] for place in range(len(rules)))


def _grouped(frame: pd.DataFrame, rules: Sequence[Rule]) -> dict[tuple[str, ...] | None, list[int]]:
    """Columns to show -> places in `rules` of those to ask then; None shows the whole table.

    Great Expectations copies all that it is shown but the rows where a rule's column is null, for each such rule; so a
    rule on one column that has nulls is shown that column alone.
    """
    groups: dict[tuple[str, ...] | None, list[int]] = {}
    for place, rule in enumerate(rules):
        alone = "column" in rule.kwargs and rule.columns[0] in frame and bool(frame[rule.columns[0]].isna().any())
        groups.setdefault(rule.columns if alone else None, []).append(place)
    return groups


def _look(frame: pd.DataFrame, rules: Sequence[Rule], ends_at: datetime) -> tuple[Outcome, ...]:
    """`look`, all of it on the same `frame`."""
    validator = _validator(frame)
    plain = _validate(validator, rules, ends_at, "BASIC")
    broken = [rule for rule, result in zip(rules, plain, strict=True) if not result["success"]]
    listed = iter(_validate(validator, broken, ends_at, "COMPLETE") if broken else ())
    outcomes = []
    for rule, result in zip(rules, plain, strict=True):
        rows = () if result["success"] else next(listed)["result"].get("unexpected_index_list", ())
        outcomes.append(Outcome(rule, result["success"], np.sort(np.asarray(rows, dtype=np.int64)), result))
    return tuple(outcomes)


def _validator(frame: pd.DataFrame) -> Any:
    """Great Expectations' Validator of `frame` alone; the table goes when the Validator does."""
    context = _context()
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.execution_engine.pandas_batch_data import PandasBatchData
    from great_expectations.validator.validator import Validator

    engine = PandasExecutionEngine()
    return Validator(engine, data_context=context, batches=[Batch(data=PandasBatchData(engine, frame))])


@cache
def _context() -> Any:
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig, logger

    logger.setLevel(logging.WARNING)  # it sets its own level, to tell of a temporary folder
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


def _validate(validator: Any, rules: Sequence[Rule], ends_at: datetime, result_format: str) -> list[dict[str, Any]]:
    """One record per rule, in the order of `rules` (Great Expectations sorts by column)."""
    from great_expectations import ExpectationSuite

    # A rule is recognised by its number in `meta`, for Great Expectations rewrites the arguments.
    configs = [{**rule.config(), "meta": {**rule.config()["meta"], "rule": at}} for at, rule in enumerate(rules)]
    suite = ExpectationSuite(name=rules[0].table, expectations=configs)
    due = validator.process_expectations_for_validation(suite.expectation_configurations, {"ends_at": ends_at})
    found = validator.graph_validate(due, {"result_format": result_format})
    records = {result.expectation_config.meta["rule"]: result for result in found}
    for at, rule in enumerate(rules):
        if not records[at].success and not records[at].result:
            raise RuntimeError(f"{rule.table}: the rule {rule.reason!r} failed to run: {records[at].exception_info}")
    return [_record(records[at], result_format) for at in range(len(rules))]


def _record(result: Any, result_format: str) -> dict[str, Any]:
    if result_format == "COMPLETE":  # of millions of rows, only their positions are needed
        return {"success": result.success, "result": dict(result.result)}
    return {**result.to_json_dict(), "success": bool(result.success)}
