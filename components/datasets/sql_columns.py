"""Columns of a database in the contract's types: which ones are read, and how their values and ids are converted."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from components.contract.conform import EXPECTED
from components.contract.schema import ARROW, Column, Kind, Table
from components.datasets import sqlite_times
from components.settings.errors import UserError

OPEN_TYPES = {int: pa.int64(), float: pa.float64(), Decimal: pa.float64(), str: pa.string(), bool: pa.bool_()}
NUMBERS = (int, float, Decimal)
# Values for PostgreSQL's infinities, in columns that bound a span of time.
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
SPANS = ("starts_at", "ends_at", "active_from", "active_until", "features_from")


@dataclass(frozen=True)
class SqlColumn:
    """A column to read: name and type in the data set, Python type of its values (None: unknown), and `convert`, which
    turns a value that is not null into the contract's."""

    field: pa.Field
    python_type: type | None
    family: str  # PostgreSQL compares two columns only if this is equal
    convert: Callable[[Any], Any]

    def key(self, text: str) -> Any:
        """The contract's id `text` as the database's type: a number, or else text, which the server converts."""
        return self.python_type(text) if self.python_type in NUMBERS else text


def sql_column(table: Table, name: str, sql_type: Any, naive_utc: bool) -> SqlColumn:
    """How to read the column `name` of the reflected type `sql_type`; UserError for a type that cannot be converted.

    naive_utc: times without a zone are in UTC, and days begin at midnight UTC.
    """
    sql_type = _base(sql_type)
    python_type, declared, place = _python_type(sql_type), table.column(name), f"{table.name}.{name}"
    if declared is None:
        field, convert = pa.field(name, _open_type(place, sql_type, python_type)), _open_converter(python_type)
    else:
        if declared.kind == "timestamp":
            _check_time(declared, place, sql_type, naive_utc)
        field, convert = pa.field(name, ARROW[declared.kind]), _converter(declared, sql_type)
    expected = EXPECTED[declared.kind] if declared else "numbers, text or true/false"
    return SqlColumn(field, python_type, _family(sql_type, python_type), _naming_faults(convert, place, expected))


def sqlite_column(table: Table, name: str, sql_type: Any, naive_utc: bool) -> SqlColumn:
    """As `sql_column`, for SQLite, where times are text in columns of any type."""
    declared, place = table.column(name), f"{table.name}.{name}"
    if declared is None or declared.kind != "timestamp":
        return sql_column(table, name, sql_type, naive_utc)
    convert = _naming_faults(sqlite_times.converter(naive_utc, place), place, f"{EXPECTED['timestamp']} or in ISO 8601")
    return SqlColumn(pa.field(name, ARROW["timestamp"]), datetime, "datetime", convert)


def is_day(sql_type: Any) -> bool:
    """Whether a column has days without a clock time."""
    return _python_type(_base(sql_type)) is date


def as_utc(value: Any) -> datetime:
    """`value` as a time in UTC: a naive time is taken as UTC, a day as its midnight; TypeError for other values."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError("no time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def read_infinity(connection: Any) -> None:
    """Make psycopg read PostgreSQL's infinite times as EARLIEST and LATEST; by default it raises an error."""
    from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

    for kind, base in (("date", DateLoader), ("timestamp", TimestampLoader), ("timestamptz", TimestamptzLoader)):

        class Loader(base):
            def load(self, data):
                if bytes(data) in (b"infinity", b"-infinity"):
                    return LATEST if bytes(data) == b"infinity" else EARLIEST
                return super().load(data)

        connection.adapters.register_loader(kind, Loader)


def _base(sql_type: Any) -> Any:
    """The type below PostgreSQL's domains."""
    while hasattr(sql_type, "data_type"):
        sql_type = sql_type.data_type
    return sql_type


def _python_type(sql_type: Any) -> type | None:
    try:
        return sql_type.python_type
    except NotImplementedError:
        return None


def _family(sql_type: Any, python_type: type | None) -> str:
    if getattr(sql_type, "enums", None):
        return f"enum {sql_type.name}"
    return "number" if python_type in NUMBERS else getattr(python_type, "__name__", "unknown")


def _check_time(column: Column, place: str, sql_type: Any, naive_utc: bool) -> None:
    python_type = _python_type(sql_type)
    if python_type in (date, datetime):
        if not naive_utc and not _has_zone(sql_type):
            values = "days without a clock time and a zone" if python_type is date else "times without a zone"
            reads = "reads them as midnight UTC" if python_type is date else "reads them as UTC"
            raise UserError(f"{place}: {values} in the database; `naive_times: utc` {reads}")
    elif not column.nullable:  # a nullable column may be all null, whatever its type
        raise UserError(f"{place}: {sql_type} in the database; expected a time. {_view(python_type)}")


def _view(python_type: type | None) -> str:
    epoch = "to_timestamp(seconds) in PostgreSQL, FROM_UNIXTIME(seconds) in MySQL"
    return f"Read from a view that converts it{f': {epoch}' if python_type in NUMBERS else ''}"


def _has_zone(sql_type: Any) -> bool:
    """True for PostgreSQL's timestamptz and MySQL's TIMESTAMP, which is stored in UTC."""
    kind = type(sql_type)
    in_mysql = kind.__module__.endswith("mysql.types") and kind.__name__ == "TIMESTAMP"
    return in_mysql or bool(getattr(sql_type, "timezone", False))


def _open_type(place: str, sql_type: Any, python_type: type | None) -> pa.DataType:
    if python_type not in OPEN_TYPES:
        raise UserError(f"{place}: {sql_type} in the database; expected numbers, text or true/false")
    return OPEN_TYPES[python_type]


def _open_converter(python_type: type | None) -> Callable[[Any], Any]:
    return {int: int, bool: bool, str: _text}.get(python_type, float)


def _converter(column: Column, sql_type: Any) -> Callable[[Any], Any]:
    """Function from a database's value to one of the column's kind; it raises TypeError or ValueError for others."""
    if column.kind == "text" and sql_type.__visit_name__ == "CHAR":
        return lambda value: _text(value).rstrip(" ")  # CHAR is padded with spaces to its length
    if column.kind == "timestamp":
        return _span if column.name in SPANS else _moment
    kinds: dict[Kind, Callable[[Any], Any]] = {"text": _text, "number": float, "bytes": bytes}
    return kinds.get(column.kind) or (lambda value: _exact(value, column.kind))


def _naming_faults(convert: Callable[[Any], Any], place: str, expected: str) -> Callable[[Any], Any]:
    """`convert` with a UserError that names `place` and the `expected` values for a value that it cannot convert."""

    def converted(value: Any) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError, ArithmeticError):
            shown = "infinity" if value in (EARLIEST, LATEST) else repr(value)[:80]
            raise UserError(f"{place}: {shown} in the database; expected {expected}") from None

    return converted


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        raise TypeError("bytes are not text")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _span(value: Any) -> datetime:
    return value if value in (EARLIEST, LATEST) else as_utc(value)


def _moment(value: Any) -> datetime:
    """`value` as a UTC time; ValueError for an infinite one."""
    if value in (EARLIEST, LATEST):
        raise ValueError("infinite")
    return as_utc(value)


def _exact(value: Any, kind: Kind) -> int | bool:
    if isinstance(value, bytes):  # MySQL's BIT
        value = int.from_bytes(value)
    whole = int(value)
    if whole != value or (kind == "flag" and whole not in (0, 1)):
        raise ValueError("not exact")
    return bool(whole) if kind == "flag" else whole
