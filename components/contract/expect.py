"""Great Expectations at work: a table and its rules -> which rules are broken, and by which rows.

The cheap question (does each rule hold?) is asked of all rules at once; the rows are listed for broken rules alone, so
that millions of rows stay a matter of seconds. Great Expectations is imported when the first table is looked at.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from components.contract.suites import Rule

SOURCE = "adloom"


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


class Inspector:
    """Looks at tables under one Great Expectations context; made by `inspector()`, which lets the tables go after."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def look(self, frame: pd.DataFrame, rules: Sequence[Rule], ends_at: datetime) -> tuple[Outcome, ...]:
        """Each of `rules` on `frame`, in their order; `ends_at` is what `$PARAMETER: ends_at` stands for."""
        if not rules:
            return ()
        batch = self._batch(frame.reset_index(drop=True), rules[0].table)
        plain = _validate(batch, rules, ends_at, "BASIC")
        broken = [rule for rule, result in zip(rules, plain, strict=True) if not result["success"]]
        listed = iter(_validate(batch, broken, ends_at, "COMPLETE") if broken else ())
        outcomes = []
        for rule, result in zip(rules, plain, strict=True):
            rows = () if result["success"] else next(listed)["result"].get("unexpected_index_list", ())
            outcomes.append(Outcome(rule, result["success"], np.sort(np.asarray(rows, dtype=np.int64)), result))
        return tuple(outcomes)

    def _batch(self, frame: pd.DataFrame, name: str) -> Any:
        if name in self._source.get_asset_names():
            self._source.delete_asset(name)
        definition = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
        return definition.get_batch({"dataframe": frame})


@contextmanager
def inspector() -> Iterator[Inspector]:
    """An Inspector whose hold on the tables ends with the block; the process keeps one context."""
    context = _context()
    try:
        yield Inspector(context.data_sources.add_pandas(SOURCE))
    finally:
        context.data_sources.delete(SOURCE)


@cache
def _context() -> Any:
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig, logger

    logger.setLevel(logging.WARNING)  # it sets its own level, to tell of a temporary folder
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


def _validate(batch: Any, rules: Sequence[Rule], ends_at: datetime, result_format: str) -> list[dict[str, Any]]:
    """One record per rule, in the order of `rules` (Great Expectations sorts by column)."""
    from great_expectations import ExpectationSuite

    # A rule is recognised by its number in `meta`, for Great Expectations rewrites the arguments.
    configs = [{**rule.config(), "meta": {**rule.config()["meta"], "rule": at}} for at, rule in enumerate(rules)]
    suite = ExpectationSuite(name=rules[0].table, expectations=configs)
    found = batch.validate(suite, result_format=result_format, expectation_parameters={"ends_at": ends_at})
    records = {result.expectation_config.meta["rule"]: result for result in found.results}
    for at, rule in enumerate(rules):
        if not records[at].success and not records[at].result:
            raise RuntimeError(f"{rule.table}: the rule {rule.reason!r} failed to run: {records[at].exception_info}")
    return [_record(records[at], result_format) for at in range(len(rules))]


def _record(result: Any, result_format: str) -> dict[str, Any]:
    if result_format == "COMPLETE":  # of millions of rows, only their positions are needed
        return {"success": result.success, "result": dict(result.result)}
    return {**result.to_json_dict(), "success": bool(result.success)}
