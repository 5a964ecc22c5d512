"""A shop's database -> batches of rows in the contract's types, read in one read-only snapshot.

MariaDB, MySQL (through pymysql) and PostgreSQL (psycopg). Credentials come from the environment: a URL names them as
${NAME}, and no message repeats them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from components.addresses import check_no_secret, hidden
from components.config import SourceConfig
from components.contract.schema import ARROW, TABLES, Kind, Table
from components.environment import expand
from components.errors import UserError

DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql", "postgresql": "postgresql+psycopg"}
SESSION = {
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'"),
    "postgresql": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET TIME ZONE 'UTC'"),
}
OPEN_TYPES = {int: pa.int64(), float: pa.float64(), Decimal: pa.float64(), str: pa.string(), bool: pa.bool_()}
VARIABLE = re.compile(r"\$\{\w+\}")


class DatabaseGone(Exception):
    """The database gave no answer, or an error for one; the message holds no credentials."""


@dataclass(frozen=True)
class Database:
    """An open snapshot: what it is called in messages, its connection, and the contract's tables that it has."""

    place: str
    connection: Any
    columns: Mapping[str, pa.Schema]  # of each table: the contract's columns that it has, then open ones
    numbered: frozenset[tuple[str, str]]  # table and column of ids that are whole numbers there
    config: SourceConfig

    def batches(self, name: str, statement: Any) -> Iterator[pa.Table]:
        """The rows of `statement`, which selects the columns of table `name` in order, `batch_rows` at a time.

        A column that the contract lets be absent, and that the database does not have, is added as all null.
        """
        schema = self.columns[name]
        absent = [each for each in TABLES[name].columns if each.nullable and each.name not in schema.names]
        takes = [_taker(TABLES[name], field) for field in schema]
        streamed = self.connection.execution_options(yield_per=self.config.batch_rows).execute(statement)
        for rows in streamed.partitions():
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array([None if value is None else take(value) for value in values], field.type)
                for take, field, values in zip(takes, schema, columns, strict=True)
            ]
            batch = pa.Table.from_arrays(arrays, schema=schema)
            for each in absent:
                batch = batch.append_column(each.name, pa.nulls(batch.num_rows, ARROW[each.kind]))
            yield batch

    def table(self, name: str) -> Any:
        """Table `name` for a statement."""
        from sqlalchemy import column, table

        return table(name, *(column(each) for each in self.columns[name].names))

    def texts(self, statement: Any) -> list[str]:
        """The one column that `statement` selects, as texts."""
        return [str(value) for (value,) in self.connection.execute(statement)]

    def id_of(self, name: str, column: str, text: str) -> str | int:
        """The contract's id as the database has it."""
        return int(text) if (name, column) in self.numbered else text

    def scalar(self, statement: Any) -> Any:
        """The one value that `statement` gives; a time is in UTC."""
        value = self.connection.execute(statement).scalar()
        return _utc(value) if isinstance(value, datetime) else value


@contextmanager
def snapshot(config: SourceConfig) -> Iterator[Database]:
    """One read-only transaction that sees the database as it was when it began; DatabaseGone for what fails in it."""
    from sqlalchemy import create_engine, event, inspect
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = address(config)
    place = f"{url.host or 'local'}/{url.database or ''}"
    timeout = {"connect_timeout": 10}
    engine = create_engine(url, poolclass=NullPool, isolation_level="REPEATABLE READ", connect_args=timeout)

    @event.listens_for(engine, "connect")
    def read_only(connection, _record) -> None:
        with connection.cursor() as cursor:
            for statement in SESSION["postgresql" if url.get_backend_name() == "postgresql" else "mysql"]:
                cursor.execute(statement)
        connection.commit()

    try:
        with engine.connect() as connection:
            yield _opened(place, connection, inspect(connection), config)
    except SQLAlchemyError as error:
        raise DatabaseGone(f"{place}: {_without_secrets(error, url)}") from None
    finally:
        engine.dispose()


def address(config: SourceConfig) -> Any:
    """The URL with credentials from the environment; UserError for another kind of database or a password in it."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    text = config.url
    if VARIABLE.fullmatch(text):
        text = expand(text)
    else:
        check_no_secret(text, "source.url")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError("source.url is no database's URL, such as postgresql://${NAME}:${PASSWORD}@host/shop") from None
    if url.get_backend_name() not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise UserError(f"source.url: {url.get_backend_name()} is not known here; known are {known}")
    written = {part: getattr(url, part) for part in ("username", "password", "host", "database")}
    parts = {part: expand(value) for part, value in written.items() if value}
    options = {name: expand(value) if isinstance(value, str) else value for name, value in url.query.items()}
    return url.set(drivername=DRIVERS[url.get_backend_name()], query=options, **parts)


def place_of(config: SourceConfig) -> str:
    """Kind, host and database, for the data set's card: no user, no password, no options."""
    url = address(config)
    return f"{url.get_backend_name()}://{url.host or 'local'}/{url.database or ''}"


def _opened(place: str, connection: Any, inspector: Any, config: SourceConfig) -> Database:
    """What is to be read of each contract table that is there; UserError for a missing column and for naive times."""
    present = set(inspector.get_table_names()) | set(inspector.get_view_names())
    found, numbered = {}, set()
    for name, declared in TABLES.items():
        if name not in present:
            if declared.needed:
                raise UserError(f"{name}: the database has no such table or view, and no data set can do without it")
            continue
        types = {column["name"]: column["type"] for column in inspector.get_columns(name)}
        missing = declared.missing(types)
        if missing:
            raise UserError(f"{name}: the database's table has no column {', '.join(missing)}")
        present_columns = [each for each in declared.columns if each.name in types]
        numbered |= {(name, each.name) for each in present_columns if types[each.name].python_type is int}
        fields = [pa.field(each.name, ARROW[each.kind]) for each in present_columns]
        for each in present_columns:
            if each.kind == "timestamp" and config.naive_times == "refuse" and not _has_zone(types[each.name]):
                raise UserError(
                    f"{name}.{each.name}: times without a zone in the database; `naive_times: utc` takes them for UTC"
                )
        fields += [pa.field(each, _open_type(name, each, types[each])) for each in types if declared.is_open(each)]
        found[name] = pa.schema(fields)
    return Database(place, connection, found, frozenset(numbered), config)


def _has_zone(sql_type: Any) -> bool:
    """PostgreSQL's timestamptz, and MySQL's TIMESTAMP, which is stored in UTC."""
    kind = type(sql_type)
    in_mysql = kind.__module__.endswith("mysql.types") and kind.__name__ == "TIMESTAMP"
    return in_mysql or bool(getattr(sql_type, "timezone", False))


def _open_type(table: str, column: str, sql_type: Any) -> pa.DataType:
    try:
        return OPEN_TYPES[sql_type.python_type]
    except (NotImplementedError, KeyError):
        raise UserError(f"{table}.{column}: {sql_type} in the database; numbers, text or true/false are due") from None


def _taker(declared: Table, field: pa.Field) -> Callable[[Any], Any]:
    """What makes a database's value one of the column's type; UserError where its meaning is another."""
    column = declared.column(field.name)
    kinds: dict[Kind, Callable[[Any], Any]] = {"text": _text, "timestamp": _utc, "number": float, "bytes": bytes}
    if column is None:
        return float if field.type == pa.float64() else lambda value: value
    return kinds.get(column.kind) or (lambda value: _exact(value, column.kind, f"{declared.name}.{field.name}"))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _exact(value: Any, kind: Kind, name: str) -> int | bool:
    whole = int(value)
    if whole != value or (kind == "flag" and whole not in (0, 1)):
        due = "true or false" if kind == "flag" else "a whole number"
        raise UserError(f"{name}: {value!r} in the database; {due} is due")
    return bool(whole) if kind == "flag" else whole


def _without_secrets(error: Exception, url: Any) -> str:
    """The first line of a driver's message without user and password."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    options = [value for name, value in url.query.items() if hidden(f"?{name}={value}") != f"?{name}={value}"]
    for secret in filter(None, (url.password, url.username, *options)):
        text = text.replace(secret, "***")
    return text
