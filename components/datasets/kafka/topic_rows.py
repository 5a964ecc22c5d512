"""Rows of a contract table from the JSON of messages, one object per row."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AfterValidator, AwareDatetime, Base64Bytes, BaseModel, ConfigDict, ValidationError, create_model

from components.contract.schema import ARROW, TABLES

NAIVE = Annotated[datetime, AfterValidator(lambda time: time if time.tzinfo else time.replace(tzinfo=UTC))]
TYPES: dict[str, Any] = {
    "text": str,
    "timestamp": AwareDatetime,
    "number": float,
    "whole": int,
    "flag": bool,
    "bytes": Base64Bytes,
}
OPEN_TYPES = {str: pa.large_string(), bool: pa.bool_(), float: pa.float64()}


class RowFault(Exception):
    """A message is no row of its table; the text says why."""


def read_row(name: str, content: bytes | None, naive_utc: bool) -> dict[str, Any]:
    """The row of table `name` in a message: declared columns, and open ones as text, flag or float.

    naive_utc: times without a zone are in UTC. RowFault if a column is missing or has another type.
    """
    declared = TABLES[name]
    try:
        row = _row_type(name, naive_utc).model_validate_json(content or b"")
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise RowFault(f"{place}: {fault['msg']}" if place else fault["msg"]) from None
    extra = row.model_extra or {}
    values = {column.name: getattr(row, column.name) for column in declared.columns}
    return values | {column: _open_value(column, value) for column, value in extra.items() if declared.is_open(column)}


def rows_table(name: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of table `name` in the contract's types. RowFault if an open column has texts and numbers."""
    declared = TABLES[name]
    columns = {column.name: pa.array([row[column.name] for row in rows], ARROW[column.kind])
               for column in declared.columns}  # fmt: skip
    for column in sorted({column for row in rows for column in row} - set(columns)):
        values = [row.get(column) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:
            raise RowFault(f"{name}.{column}: holds {' and '.join(sorted(kind.__name__ for kind in kinds))}")
        if kinds:
            columns[column] = pa.array(values, OPEN_TYPES[kinds.pop()])
    return pa.table(columns)


@lru_cache
def _row_type(name: str, naive_utc: bool) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for column in TABLES[name].columns:
        kind = NAIVE if naive_utc and column.kind == "timestamp" else TYPES[column.kind]
        fields[column.name] = (kind | None, None) if column.nullable or column.null_throughout else (kind, ...)
    config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    return create_model(f"row of {name}", __config__=config, **fields)


def _open_value(column: str, value: Any) -> str | bool | float | None:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    raise RowFault(f"{column}: holds {type(value).__name__}; expected a text, a flag or a number")
