"""Arrow columns as a file holds them -> columns of the contract's types, or one sentence that names the wrong one.

Widths do not matter (int8 for int64, float32 for float64, a dictionary of strings for strings); meanings do: a naive
time, a number where an id is due or 0.5 where whole numbers are due is a fault of the table, not of single rows.
"""

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.schema import ARROW, Column, Kind, Table
from components.settings.errors import UserError

DUE: dict[Kind, str] = {
    "text": "text (ids are strings)",
    "timestamp": "times as timestamp[us, UTC]",
    "number": "numbers (float64)",
    "whole": "whole numbers (int64)",
    "flag": "true or false (bool)",
    "bytes": "bytes (binary)",
}


def conform(
    table: pa.Table, declared: Table, source: str, wanted: Iterable[str] | None = None, fill: bool = True
) -> pa.Table:
    """`table` with each declared column cast to its contract type; columns that are not declared stay as they are.

    A missing column that may be null is added as all null, unless `fill` is false. `source` (a file, or "memory") and
    the column are named in the UserError for any other missing column and for a wrong type; `wanted` limits which
    columns must be there.
    """
    due = list(wanted) if wanted is not None else [column.name for column in declared.columns]
    absent = [name for name in due if name not in table.column_names]
    filled = [name for name in absent if fill and declared.column(name) is not None and declared.column(name).nullable]
    missing = [name for name in absent if name not in filled]
    if missing:
        holds = ", ".join(table.column_names) or "none"
        raise UserError(f"{declared.name}: no column {', '.join(missing)} in {source} (its columns: {holds})")
    columns = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        column = declared.column(name)
        place = f"{declared.name}.{name}"
        if column is not None:
            values = _cast(values, column, place, source)
        elif declared.is_open(name):
            values = _cast_open(values, place, source)
            _check_open_number(values.type, declared.open_numbers.get(name), place, source)
        columns[name] = values
    for name in filled:
        columns[name] = pa.nulls(table.num_rows, ARROW[declared.column(name).kind])
    return pa.table(columns)


def _cast(values: pa.ChunkedArray, column: Column, name: str, source: str) -> pa.ChunkedArray:
    due = ARROW[column.kind]
    if values.type == due:
        return values
    if values.null_count == len(values):  # without values a column has whatever type its writer fell back to
        return pa.chunked_array([pa.nulls(len(values), due)])
    if pa.types.is_timestamp(values.type) and column.kind == "timestamp" and values.type.tz is None:
        raise UserError(f"{name}: naive times (no time zone) in {source}; timestamp[us, UTC] is due")
    if not _same_meaning(values.type, column.kind):
        raise UserError(f"{name}: holds {values.type} in {source}; {DUE[column.kind]} are due")
    try:
        return _convert(values, column.kind)
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        raise UserError(f"{name}: {detail} in {source}; {DUE[column.kind]} are due") from None


def _cast_open(values: pa.ChunkedArray, name: str, source: str) -> pa.ChunkedArray:
    """A user's own column as text, whole numbers, numbers or flags; anything else has no place in a feature."""
    if pa.types.is_null(values.type):
        raise UserError(f"{name}: holds no value in {source}; leave the column away")
    for kind in ("text", "flag", "number"):
        if _same_meaning(values.type, kind):
            whole = kind == "number" and pa.types.is_integer(values.type)
            return _cast(values, Column(name, "whole" if whole else kind), name, source)
    raise UserError(f"{name}: holds {values.type} in {source}; numbers, text or true/false are due")


def _check_open_number(found: pa.DataType, held: str | None, name: str, source: str) -> None:
    """Raise where an open column that is known to hold numbers (`held` says which) has none."""
    if held is not None and not _same_meaning(found, "number"):
        kind = str(found).removeprefix("large_")
        raise UserError(
            f"{name}: holds {kind} in {source}; numbers are due ({held}). Under another name it is taken as a category"
        )


def _same_meaning(found: pa.DataType, kind: Kind) -> bool:
    types = pa.types
    if types.is_dictionary(found):
        return kind == "text" and _same_meaning(found.value_type, "text")
    is_text = types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    is_bytes = types.is_binary(found) or types.is_large_binary(found) or types.is_fixed_size_binary(found)
    is_number = types.is_integer(found) or types.is_floating(found)
    return {
        "text": is_text,
        "timestamp": types.is_timestamp(found),
        "number": is_number or types.is_decimal(found),
        "whole": is_number,
        "flag": types.is_boolean(found),
        "bytes": is_bytes,
    }[kind]


def _convert(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind == "whole" and pa.types.is_floating(values.type):
        # NaN is how pandas writes "no value" into whole numbers; a cast would refuse it.
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if kind == "timestamp":
        return values.cast(ARROW[kind], safe=False)  # sub-microsecond digits carry nothing here
    return values.cast(ARROW[kind])


def to_pandas(table: pa.Table, declared: Table | None = None) -> pd.DataFrame:
    """`table` as a DataFrame with the dtypes of schema.py; nullable integers and flags keep their nulls exactly."""
    mapped = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    columns = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        column = declared.column(name) if declared is not None else None
        keeps_null = values.null_count > 0 or (column is not None and column.nullable)
        # Where it is given a mapper, Arrow makes a Python text of each cell before pandas sees the column.
        found = values.to_pandas(types_mapper=mapped.get if keeps_null and values.type in mapped else None)
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        columns[name] = found.astype("str") if is_text else found  # all-null text would come as object
    return pd.DataFrame(columns, columns=table.column_names, copy=False)
