"""Columns of another type than the contract's, whose values have one meaning only -> columns of the contract's type.

Whole numbers where ids are due become texts of all their digits; true and false become 1 and 0, and 1 and 0 flags.
Anything that could mean two things (a time without a zone, a text where a number is due) is not changed; conform.py
refuses it.
"""

import pyarrow as pa
import pyarrow.compute as pc

from components.contract.schema import ARROW, Table

EXACT = 2**53  # whole numbers below it are exact as floating numbers
ADVICE = "`adloom data import` reads files of other kinds and types"


def unambiguous(table: pa.Table, declared: Table) -> pa.Table:
    """`table` with those declared columns converted whose values have one meaning; the others as they are."""
    for place, name in enumerate(table.column_names):
        column = declared.column(name)
        converted = None if column is None else _converted(table.column(place), column.kind)
        if converted is not None:
            table = table.set_column(place, name, converted)
    return table


def _converted(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray | None:
    types = pa.types
    if kind == "text" and types.is_integer(values.type):
        return values.cast(ARROW["text"])
    if kind == "text" and types.is_floating(values.type):
        return _whole_floats(values)
    if kind == "whole" and types.is_boolean(values.type):
        return values.cast(ARROW["whole"])
    if kind == "flag" and types.is_integer(values.type):
        bounds = pc.min_max(values).as_py()
        return values.cast(ARROW["flag"]) if bounds["min"] in (0, 1) and bounds["max"] in (0, 1) else None
    return None


def _whole_floats(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The texts of floating numbers that are all whole and exact, as pandas writes ids of which some are missing."""
    numbers = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    exact = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), float(EXACT)))
    if not pc.all(exact).as_py():
        return None
    return numbers.cast(pa.int64()).cast(ARROW["text"])
