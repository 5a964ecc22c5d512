"""Batches of rows of a shop's database in the contract's types, read in one read-only snapshot.

MariaDB and MySQL (through pymysql), PostgreSQL (psycopg) and SQLite. Credentials come from the environment: a URL names
them as ${NAME}, and no message shows them.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from components.contract.schema import ARROW, TABLES
from components.datasets import sqlite_times
from components.datasets.source_protocol import SourceFailed
from components.datasets.sql_columns import (
    EARLIEST,
    LATEST,
    SqlColumn,
    as_utc,
    is_day,
    read_infinity,
    sql_column,
    sqlite_column,
)
from components.settings.addresses import check_no_secret, hidden
from components.settings.environment import expand
from components.settings.errors import UserError
from components.settings.sections import SourceConfig

DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite",
}
SESSION = {
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'"),
    "postgresql": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET TIME ZONE 'UTC'"),
}
# Transient errors. SQLSTATE classes: connection, rollback, resources, lock, shutdown, system.
TRANSIENT_STATES = ("08", "40", "53", "55P03", "57", "58")
TRANSIENT_WORDS = ("starting up", "shutting down", "in recovery", "not yet accepting", "too many", "connection slots")
UNKNOWN_HOST = ("Name or service not known", "nodename nor servname")  # if the resolver fails, it says "try again"
# Error numbers of MySQL and MariaDB: connections, shutdown, memory, network, deadlock, lock, interruption.
TRANSIENT_NUMBERS = frozenset({0, 1037, 1038, 1040, 1053, 1152, *range(1158, 1162), 1203, 1205, 1213, 1226, 1317, 1927})
TRANSIENT_NUMBERS |= {1969, 2002, 2003, 2006, 2013, 3024}
VARIABLE = re.compile(r"\$\{\w+\}")

log = logging.getLogger("adloom")


IDS_PER_QUERY = 1000


class DatabaseFailed(SourceFailed):
    """The database did not answer, or answered with an error."""


@dataclass(frozen=True)
class Clock:
    """How a kind of database compares times.

    compared: column -> SQL expression that is compared; bound: time -> value that it is compared with; read: value of
    the expression from the database -> time.
    """

    compared: Callable[[Any], Any]
    bound: Callable[[datetime], Any]
    read: Callable[[Any], datetime]


SERVERS = Clock(lambda column: column, lambda time: time, as_utc)


def _sqlite_clock() -> Clock:
    from sqlalchemy import func

    counted = getattr(func, sqlite_times.FUNCTION)
    return Clock(counted, lambda time: (time - sqlite_times.EPOCH) // sqlite_times.MICROSECOND, sqlite_times.moment)


@dataclass(frozen=True)
class Database:
    """An open snapshot of a database (see `Snapshot`); place: its name in messages."""

    place: str
    connection: Any
    columns: Mapping[str, Mapping[str, SqlColumn]]  # by table: the contract's columns that it has, then open ones
    config: SourceConfig
    clock: Clock = SERVERS

    @property
    def tables(self) -> tuple[str, ...]:
        """The contract's tables that the database has."""
        return tuple(self.columns)

    def first_time(self) -> datetime | None:
        """The time of the first impression; None without impressions."""
        from sqlalchemy import func

        return self._extreme(func.min)

    def complete_until(self) -> datetime | None:
        """The begin of the newest impression's day, since more impressions may come on that day."""
        from sqlalchemy import func

        newest = self._extreme(func.max)
        return newest and newest.replace(hour=0, minute=0, second=0, microsecond=0)

    def untimed(self, name: str) -> int:
        """Number of rows of a log without a time or with an infinite one."""
        from sqlalchemy import func, not_, or_, select

        table = self.table(name)
        at = self._at(table)
        without = or_(at.is_(None), not_(self.has_time(at)))
        return self.connection.execute(select(func.count()).select_from(table).where(without)).scalar()

    def between(self, name: str, begin: datetime, end: datetime) -> Iterator[pa.Table]:
        """Batches of the rows of a log in [begin, end); for candidates, those of the impressions in that span."""
        from sqlalchemy import select

        table = self.table(name)
        if name != "candidates":
            at = self._at(table)
            rows = select(*table.c).where(*self._within(at, begin, end)).order_by(at, table.c[TABLES[name].key[0]])
            return self._batches(name, rows)
        shown = self.table("impressions")
        at = self._at(shown)
        same = self.is_same(("candidates", table.c.impression_id), ("impressions", shown.c.impression_id))
        rows = select(*table.c).select_from(table.join(shown, same)).where(*self._within(at, begin, end))
        return self._batches(name, rows.order_by(at, table.c.impression_id, table.c.creative_id))

    def ids(self, name: str) -> list[str]:
        """The keys of all rows of a table, sorted."""
        from sqlalchemy import select

        key = self.table(name).c[TABLES[name].key[0]]
        return self._ids(name, select(key).order_by(key))

    def ids_between(self, name: str, begin: datetime, end: datetime) -> list[str]:
        """The keys of a log's rows in [begin, end), in order of time."""
        from sqlalchemy import select

        table = self.table(name)
        key, at = table.c[TABLES[name].key[0]], self._at(table)
        return self._ids(name, select(key).where(*self._within(at, begin, end)).order_by(at, key))

    def with_ids(self, name: str, column: str, ids: Sequence[str]) -> Iterator[pa.Table]:
        """Batches of the rows with one of `ids` in `column`, each ordered by its first two columns."""
        from sqlalchemy import select

        table = self.table(name)
        for start in range(0, len(ids), IDS_PER_QUERY):
            chosen = select(*table.c).where(self.is_one_of(name, table.c[column], ids[start : start + IDS_PER_QUERY]))
            yield from self._batches(name, chosen.order_by(*list(table.c)[:2]))

    def whole(self, name: str) -> Iterator[pa.Table]:
        """Batches of all rows of a table, in the order of its key."""
        from sqlalchemy import select

        table = self.table(name)
        return self._batches(name, select(*table.c).order_by(table.c[TABLES[name].key[0]]))

    def _at(self, table: Any) -> Any:
        return self.clock.compared(table.c.timestamp)

    def _within(self, at: Any, begin: datetime, end: datetime) -> tuple[Any, Any]:
        return at >= self.clock.bound(begin), at < self.clock.bound(end)

    def _extreme(self, choose: Callable[[Any], Any]) -> datetime | None:
        """The least or greatest time of an impression, as `choose` (min or max) says."""
        from sqlalchemy import select

        at = self._at(self.table("impressions"))
        extreme = self.connection.execute(select(choose(at)).where(self.has_time(at))).scalar()
        return None if extreme is None else self.clock.read(extreme)

    def _batches(self, name: str, statement: Any) -> Iterator[pa.Table]:
        """The rows of `statement`, which selects the columns of table `name` in order, `batch_rows` at a time.

        A nullable column of the contract that the database lacks is added as all null.
        """
        columns = self.columns[name]
        absent = [column for column in TABLES[name].columns if column.nullable and column.name not in columns]
        streamed = self.connection.execution_options(yield_per=self.config.batch_rows).execute(statement)
        for rows in streamed.partitions():
            values = zip(*rows, strict=True)
            arrays = {
                column: _array(name, columns[column], cells) for column, cells in zip(columns, values, strict=True)
            }
            batch = pa.table(arrays)
            for column in absent:
                batch = batch.append_column(column.name, pa.nulls(batch.num_rows, ARROW[column.kind]))
            yield batch

    def table(self, name: str) -> Any:
        """Table `name` as SQLAlchemy's table clause, for statements."""
        from sqlalchemy import column, table

        return table(name, *map(column, self.columns[name]))

    def _ids(self, name: str, statement: Any) -> list[str]:
        """The keys of table `name` that `statement` selects, as the contract's ids."""
        convert = self.columns[name][TABLES[name].key[0]].convert
        return [convert(value) for (value,) in self.connection.execute(statement)]

    def is_one_of(self, name: str, column: Any, ids: Sequence[str]) -> Any:
        """The SQL condition that `column` of table `name` is one of the contract's `ids`.

        The ids are sent without a type, so that the server converts them to the column's type: uuid, enum or text.
        """
        from sqlalchemy import bindparam
        from sqlalchemy.types import NullType

        keys = [self.columns[name][column.name].key(text) for text in ids]
        return column.in_(bindparam(None, keys, type_=NullType(), expanding=True))

    def is_same(self, left: tuple[str, Any], right: tuple[str, Any]) -> Any:
        """The SQL condition that two columns, given as (table, column), have equal ids; compared as text if needed."""
        from sqlalchemy import String, cast

        families = {self.columns[name][column.name].family for name, column in (left, right)}
        if len(families) == 1:
            return left[1] == right[1]
        return cast(left[1], String) == cast(right[1], String)

    def has_time(self, at: Any) -> Any:
        """The SQL condition that the time `at` is neither null nor infinite."""
        return at.between(self.clock.bound(EARLIEST), self.clock.bound(LATEST))


@contextmanager
def snapshot(config: SourceConfig) -> Iterator[Database]:
    """The database in one read-only transaction, in its state at the begin; DatabaseFailed for errors in it."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    url = database_url(config)
    place = f"{url.host or 'local'}/{url.database or ''}"
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            yield _opened(place, connection, inspect(connection), config)
    except SQLAlchemyError as error:
        raise DatabaseFailed(f"{place}: {_without_secrets(error, url)}", _is_transient(error)) from None
    finally:
        engine.dispose()


def _engine(url: Any) -> Any:
    """A SQLAlchemy engine for `url` with read-only sessions and repeatable reads."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            "sqlite://", creator=lambda: sqlite_times.connect(url.database or ""), poolclass=NullPool
        )
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    timeout = {"connect_timeout": 10}
    engine = create_engine(url, poolclass=NullPool, isolation_level="REPEATABLE READ", connect_args=timeout)

    @event.listens_for(engine, "connect")
    def read_only(connection, _record) -> None:
        with connection.cursor() as cursor:
            for statement in SESSION["postgresql" if url.get_backend_name() == "postgresql" else "mysql"]:
                cursor.execute(statement)
        connection.commit()
        if url.get_backend_name() == "postgresql":
            read_infinity(connection)

    return engine


def database_url(config: SourceConfig) -> Any:
    """`source.url` with credentials from the environment; UserError for an unknown kind of database or a password."""
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
        raise UserError(
            "source.url is not a database's URL, such as postgresql://${NAME}:${PASSWORD}@host/shop"
        ) from None
    if url.get_backend_name() not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise UserError(f"source.url: {url.get_backend_name()} is not known here; known are {known}")
    written = {part: getattr(url, part) for part in ("username", "password", "host", "database")}
    parts = {part: expand(value) for part, value in written.items() if value}
    options = {name: expand(value) if isinstance(value, str) else value for name, value in url.query.items()}
    return url.set(drivername=DRIVERS[url.get_backend_name()], query=options, **parts)


def database_place(config: SourceConfig) -> str:
    """Kind, host and database, for the data set's card, without user, password and options."""
    url = database_url(config)
    host = "" if url.get_backend_name() == "sqlite" else url.host or "local"
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def _opened(place: str, connection: Any, inspector: Any, config: SourceConfig) -> Database:
    """The database with the columns to read of its contract tables; UserError for a missing column or naive times."""
    present, opened = _relations(inspector), {}
    for name, declared in TABLES.items():
        if name not in present:
            if declared.needed:
                raise UserError(f"{name}: the database has no such table or view, and every data set needs it")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on unknown types, also in columns that are not read
            types = {column["name"]: column["type"] for column in inspector.get_columns(name)}
        missing = declared.missing(types)
        if missing:
            raise UserError(f"{name}: the database's table has no column {', '.join(missing)}")
        names = [column.name for column in declared.columns if column.name in types]
        names += [column for column in types if declared.is_open(column)]
        naive_utc, in_sqlite = config.naive_times == "utc", inspector.dialect.name == "sqlite"
        reader = sqlite_column if in_sqlite else sql_column
        opened[name] = {column: reader(declared, column, types[column], naive_utc) for column in names}
        if not in_sqlite and "timestamp" in names and is_day(types["timestamp"]):
            log.warning(
                "%s.timestamp: days without a clock time, read as midnight UTC, so everything on a day counts as known "
                "from its begin",
                name,
            )
    clock = _sqlite_clock() if inspector.dialect.name == "sqlite" else SERVERS
    return Database(place, connection, opened, config, clock)


def _relations(inspector: Any) -> set[str]:
    """The names of tables, views and other relations that rows can be selected from."""
    names = {*inspector.get_table_names(), *inspector.get_view_names()}
    if inspector.dialect.name == "postgresql":
        names |= {*inspector.get_materialized_view_names(), *inspector.get_foreign_table_names()}
    return names


def _array(table: str, column: SqlColumn, values: Iterable[Any]) -> pa.Array:
    converted = [None if value is None else column.convert(value) for value in values]
    try:
        return pa.array(converted, column.field.type)
    except (pa.ArrowInvalid, OverflowError) as error:
        raise UserError(f"{table}.{column.field.name}: {str(error).splitlines()[0]}, in the database") from None


def _is_transient(error: Any) -> bool:
    """Whether a driver's error is transient: no connection, no resources, a lock, a restart of the server.

    PostgreSQL tells by the class of SQLSTATE, and before a connection by the text only; MySQL by a number.
    """
    if getattr(error, "connection_invalidated", False):
        return True
    cause = getattr(error, "orig", None)
    if any(words in str(cause) for words in UNKNOWN_HOST):
        return False
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state.startswith(TRANSIENT_STATES)
    number = next(iter(getattr(cause, "args", ())), None)
    if isinstance(number, int):
        return number in TRANSIENT_NUMBERS
    refused = "FATAL:" in str(cause) and not any(words in str(cause) for words in TRANSIENT_WORDS)
    return type(cause).__name__ in ("OperationalError", "ConnectionTimeout") and not refused


def _without_secrets(error: Exception, url: Any) -> str:
    """The first line of a driver's message without user and password."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    options = [value for name, value in url.query.items() if hidden(f"?{name}={value}") != f"?{name}={value}"]
    for secret in filter(None, (url.password, url.username, *options)):
        text = text.replace(secret, "***")
    return text
