"""Check the rules of a table with Great Expectations: which rules are broken, and by which rows.

All rules are first checked without listing rows, which is fast; rows are then listed for the broken rules only, so that
millions of rows take seconds. Great Expectations is imported at the first table.

Its data sources hash every cell of a table twice for a fingerprint that is not used here, which takes half of the time
at millions of rows. So its Validator gets each table as a batch without a data source.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from components.contract.validation.suites import Rule
from components.contract.validation.unique_keys import is_unique

UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # the value of `$PARAMETER: earliest`; no shop logged ads before


@dataclass(frozen=True)
class Outcome:
    """The result of one rule. rows: int64, ascending positions of the rows that break it.

    A broken rule on the whole table has no rows. `result` is the record of Great Expectations, for the Data Docs.
    """

    rule: Rule
    holds: bool
    rows: np.ndarray
    result: Mapping[str, Any]

    @property
    def observed(self) -> Mapping[str, Any]:
        """The measurements of Great Expectations: counts, an observed value, superfluous or missing columns."""
        return self.result.get("result", {})


def check_rules(frame: pd.DataFrame, rules: Sequence[Rule], ends_at: datetime) -> tuple[Outcome, ...]:
    """The outcome of each of `rules` on `frame`, in their order; `ends_at` is the value of `$PARAMETER: ends_at`."""
    frame, outcomes = frame.reset_index(drop=True), {}
    distinct = [place for place, rule in enumerate(rules) if _holds_by_keys(frame, rule)]
    others = [place for place in range(len(rules)) if place not in distinct]
    for place in distinct:
        outcomes[place] = _check_rules(_numbered(frame, rules[place]), [rules[place]], ends_at)[0]
    for columns, places in _grouped(frame, rules, others).items():
        shown = frame if columns is None else frame[list(columns)]
        checked = _check_rules(shown, [rules[place] for place in places], ends_at)
        outcomes |= dict(zip(places, checked, strict=True))
    return tuple(outcomes[place] for place in range(len(rules)))


def _holds_by_keys(frame: pd.DataFrame, rule: Rule) -> bool:
    """Whether `rule` says that texts are unique, and they are known to be."""
    columns = [frame[name] for name in rule.columns if name in frame]
    texts = bool(columns) and all(isinstance(column.dtype, pd.StringDtype) for column in columns)
    return rule.type in UNIQUE and texts and len(columns) == len(rule.columns) and is_unique(columns)


def _numbered(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Distinct numbers in place of the distinct texts that `rule` reads.

    Great Expectations makes a Python object of each text to compare them; its record of a rule that holds is the same.
    """
    return pd.DataFrame({name: np.arange(len(frame)) for name in rule.columns})


def _grouped(
    frame: pd.DataFrame, rules: Sequence[Rule], chosen: Sequence[int]
) -> dict[tuple[str, ...] | None, list[int]]:
    """Columns to pass -> places, of those `chosen`, in `rules` of the rules to check on them; None: the whole table.

    For each rule on a column with nulls, Great Expectations copies all passed columns of the other rows. So such a rule
    gets its column only.
    """
    groups: dict[tuple[str, ...] | None, list[int]] = {}
    for place in chosen:
        rule = rules[place]
        alone = "column" in rule.kwargs and rule.columns[0] in frame and bool(frame[rule.columns[0]].isna().any())
        groups.setdefault(rule.columns if alone else None, []).append(place)
    return groups


def _check_rules(frame: pd.DataFrame, rules: Sequence[Rule], ends_at: datetime) -> tuple[Outcome, ...]:
    """As `check_rules`, with all rules on the same columns."""
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
    """Great Expectations' Validator of `frame`; the table is freed with it, since no other object refers to it."""
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

    logger.setLevel(logging.WARNING)  # it sets its own level and logs a temporary folder
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


def _validate(validator: Any, rules: Sequence[Rule], ends_at: datetime, result_format: str) -> list[dict[str, Any]]:
    """One record per rule, in the order of `rules` (Great Expectations sorts by column)."""
    from great_expectations import ExpectationSuite

    # A rule is recognised by its number in `meta`, since Great Expectations changes the arguments.
    configs = [{**rule.config(), "meta": {**rule.config()["meta"], "rule": at}} for at, rule in enumerate(rules)]
    suite = ExpectationSuite(name=rules[0].table, expectations=configs)
    parameters = {"ends_at": ends_at, "earliest": EARLIEST}
    expectations = validator.process_expectations_for_validation(suite.expectation_configurations, parameters)
    results = validator.graph_validate(expectations, {"result_format": result_format})
    records = {result.expectation_config.meta["rule"]: result for result in results}
    for at, rule in enumerate(rules):
        if not records[at].success and not records[at].result:
            raise RuntimeError(f"{rule.table}: the rule {rule.reason!r} failed to run: {records[at].exception_info}")
    return [_record(records[at], result_format) for at in range(len(rules))]


def _record(result: Any, result_format: str) -> dict[str, Any]:
    if result_format == "COMPLETE":  # only the positions of rows are used, and converting millions takes long
        return {"success": result.success, "result": dict(result.result)}
    return {**result.to_json_dict(), "success": bool(result.success)}
