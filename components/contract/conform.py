"""Arrow columns of a file, cast to the contract's types; a column of another type is one UserError that names it.

Widths may differ (int8 for int64, float32 for float64, a dictionary of strings for strings). A naive time, a number in
place of an id, or 0.5 in a column of whole numbers is a fault of the table, not of single rows.
"""

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.schema import ARROW, Column, Kind, Table
from components.settings.errors import UserError

EXPECTED: dict[Kind, str] = {
    "text": "text (ids are strings)",
    "timestamp": "times as timestamp[us, UTC]",
    "number": "numbers (float64)",
    "whole": "whole numbers (int64)",
    "flag": "true or false (bool)",
    "bytes": "bytes (binary)",
}


def conform(
    table: pa.Table, declared: Table, source: str, required: Iterable[str] | None = None, fill: bool = True
) -> pa.Table:
    """`table` with each declared column cast to its contract type; columns that are not declared are not changed.

    required: the columns that must be there; None: all declared ones. A missing column that may be null is added as all
    null, unless `fill` is false. UserError names the column and `source` (a file, or "memory") for any other missing
    column and for a wrong type.
    """
    expected = list(required) if required is not None else [column.name for column in declared.columns]
    absent = [name for name in expected if name not in table.column_names]
    filled = [name for name in absent if fill and declared.column(name) is not None and declared.column(name).nullable]
    missing = [name for name in absent if name not in filled]
    if missing:
        present = ", ".join(table.column_names) or "none"
        raise UserError(f"{declared.name}: no column {', '.join(missing)} in {source} (its columns: {present})")
    names, rows, stored, columns = table.column_names, table.num_rows, table.columns, {}
    del table  # so that each stored column is freed once it is cast, if the caller does not hold the table either
    for name in names:
        values, column = stored.pop(0), declared.column(name)
        place = f"{declared.name}.{name}"
        if column is not None:
            values = _cast(values, column, place, source)
        elif declared.is_open(name):
            values = _cast_open(values, place, source)
            _check_open_number(values.type, declared.open_numbers.get(name), place, source)
        columns[name] = values
    for name in filled:
        columns[name] = pa.nulls(rows, ARROW[declared.column(name).kind])
    return pa.table(columns)


def _cast(values: pa.ChunkedArray, column: Column, name: str, source: str) -> pa.ChunkedArray:
    target = ARROW[column.kind]
    if values.type == target:
        return values
    if values.null_count == len(values):  # writers choose any type for a column without values
        return pa.chunked_array([pa.nulls(len(values), target)])
    if pa.types.is_timestamp(values.type) and column.kind == "timestamp" and values.type.tz is None:
        raise UserError(f"{name}: naive times (no time zone) in {source}; expected timestamp[us, UTC]")
    if not _same_meaning(values.type, column.kind):
        raise UserError(f"{name}: holds {values.type} in {source}; expected {EXPECTED[column.kind]}")
    try:
        return _convert(values, column.kind)
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        raise UserError(f"{name}: {detail} in {source}; expected {EXPECTED[column.kind]}") from None


def _cast_open(values: pa.ChunkedArray, name: str, source: str) -> pa.ChunkedArray:
    """An open column as text, flags, whole numbers or numbers; UserError for any other type."""
    if pa.types.is_null(values.type):
        raise UserError(f"{name}: holds no value in {source}; remove the column")
    for kind in ("text", "flag", "number"):
        if _same_meaning(values.type, kind):
            whole = kind == "number" and pa.types.is_integer(values.type)
            return _cast(values, Column(name, "whole" if whole else kind), name, source)
    raise UserError(f"{name}: holds {values.type} in {source}; expected numbers, text or true/false")


def _check_open_number(stored: pa.DataType, meaning: str | None, name: str, source: str) -> None:
    """UserError if an open column of numbers (`meaning`: what they are; None: not such a column) holds another type."""
    if meaning is not None and not _same_meaning(stored, "number"):
        kind = str(stored).removeprefix("large_")
        raise UserError(
            f"{name}: holds {kind} in {source}; expected numbers ({meaning}). Rename the column to use it as a category"
        )


def _same_meaning(stored: pa.DataType, kind: Kind) -> bool:
    types = pa.types
    if types.is_dictionary(stored):
        return kind == "text" and _same_meaning(stored.value_type, "text")
    is_text = types.is_string(stored) or types.is_large_string(stored) or types.is_string_view(stored)
    is_bytes = types.is_binary(stored) or types.is_large_binary(stored) or types.is_fixed_size_binary(stored)
    is_number = types.is_integer(stored) or types.is_floating(stored)
    return {
        "text": is_text,
        "timestamp": types.is_timestamp(stored),
        "number": is_number or types.is_decimal(stored),
        "whole": is_number,
        "flag": types.is_boolean(stored),
        "bytes": is_bytes,
    }[kind]


def _convert(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind == "whole" and pa.types.is_floating(values.type):
        # pandas writes NaN for a missing whole number, which a cast would refuse.
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if kind == "timestamp":
        return values.cast(ARROW[kind], safe=False)  # drops digits below a microsecond
    return values.cast(ARROW[kind])


def to_pandas(table: pa.Table, declared: Table | None = None) -> pd.DataFrame:
    """`table` as a DataFrame with the dtypes of schema.py; integers and flags with nulls get nullable dtypes."""
    mapped = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    names, stored, columns = table.column_names, table.columns, {}
    del table  # so that each column is freed once it is converted, if the caller does not hold the table either
    for name in names:
        values = stored.pop(0)
        column = declared.column(name) if declared is not None else None
        keeps_null = values.null_count > 0 or (column is not None and column.nullable)
        # With a mapper, Arrow makes a Python object of each text, which is slow; so only where one is needed.
        converted = values.to_pandas(types_mapper=mapped.get if keeps_null and values.type in mapped else None)
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        columns[name] = converted.astype("str") if is_text else converted  # text of nulls only would be object
    return pd.DataFrame(columns, columns=names, copy=False)


def has_dtypes(frame: pd.DataFrame, declared: Table) -> bool:
    """Whether `frame` has the columns and dtypes that `to_pandas` gives a conformed table, and a new index.

    False also for a frame with a column of bytes or an open column, whose type only their values tell.
    """
    if not isinstance(frame.index, pd.RangeIndex) or frame.index.start != 0 or frame.index.step != 1:
        return False
    if set(frame.columns) != {column.name for column in declared.columns} or not frame.columns.is_unique:
        return False
    return all(_has_dtype(frame[column.name], column) for column in declared.columns)


def _has_dtype(values: pd.Series, column: Column) -> bool:
    if column.kind in ("whole", "flag"):
        plain, nullable = ("int64", "Int64") if column.kind == "whole" else ("bool", "boolean")
        return str(values.dtype) == (nullable if column.nullable or values.hasnans else plain)
    expected = {"text": "str", "timestamp": "datetime64[us, UTC]", "number": "float64"}
    return str(values.dtype) == expected.get(column.kind)
