"""A shop's database -> batches of rows in the contract's types, read in one read-only snapshot.

MariaDB, MySQL (through pymysql), PostgreSQL (psycopg) and SQLite. Credentials come from the environment: a URL names
them as ${NAME}, and no message repeats them.
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
# Errors that may be gone another time. Classes of SQLSTATE: connection, rollback, resources, lock, shutdown, system.
PASSING_STATES = ("08", "40", "53", "55P03", "57", "58")
PASSING_WORDS = ("starting up", "shutting down", "in recovery", "not yet accepting", "too many", "connection slots")
UNKNOWN_HOST = ("Name or service not known", "nodename nor servname")  # a resolver that is away says "try again"
# MySQL's and MariaDB's numbers: connections, shutdown, memory, network, deadlock, lock, interruption.
PASSING_NUMBERS = frozenset({0, 1037, 1038, 1040, 1053, 1152, *range(1158, 1162), 1203, 1205, 1213, 1226, 1317, 1927})
PASSING_NUMBERS |= {1969, 2002, 2003, 2006, 2013, 3024}
VARIABLE = re.compile(r"\$\{\w+\}")

log = logging.getLogger("adloom")


AT_ONCE = 1000  # ids in one question


class DatabaseFailed(SourceFailed):
    """The database gave no answer, or an error for one."""


@dataclass(frozen=True)
class Clock:
    """How a kind of database compares times. compared: a column -> what stands for it in a statement; bound: a time ->
    what it is compared with; read: what the database gives for the greatest or least of them -> the time."""

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
    """An open snapshot (see `Snapshot`): what it is called in messages, its connection, and the contract's tables that
    it has."""

    place: str
    connection: Any
    columns: Mapping[str, Mapping[str, SqlColumn]]  # of each table: the contract's columns that it has, then open ones
    config: SourceConfig
    clock: Clock = SERVERS

    @property
    def tables(self) -> tuple[str, ...]:
        """The contract's tables that it has."""
        return tuple(self.columns)

    def begins(self) -> datetime | None:
        """The time of the first impression."""
        from sqlalchemy import func

        return self._extreme(func.min)

    def known_until(self) -> datetime | None:
        """The day of the newest impression: while it lasts, more may come."""
        from sqlalchemy import func

        newest = self._extreme(func.max)
        return newest and newest.replace(hour=0, minute=0, second=0, microsecond=0)

    def untimed(self, name: str) -> int:
        """Rows of a log that have no time, or an infinite one."""
        from sqlalchemy import func, not_, or_, select

        table = self.table(name)
        at = self._at(table)
        without = or_(at.is_(None), not_(self.has_time(at)))
        return self.connection.execute(select(func.count()).select_from(table).where(without)).scalar()

    def between(self, name: str, begin: datetime, end: datetime) -> Iterator[pa.Table]:
        """Rows of a log, or candidates of the impressions, of a time."""
        from sqlalchemy import select

        table = self.table(name)
        if name != "candidates":
            at = self._at(table)
            asked = select(*table.c).where(*self._within(at, begin, end)).order_by(at, table.c[TABLES[name].key[0]])
            return self._batches(name, asked)
        shown = self.table("impressions")
        at = self._at(shown)
        same = self.is_same(("candidates", table.c.impression_id), ("impressions", shown.c.impression_id))
        asked = select(*table.c).select_from(table.join(shown, same)).where(*self._within(at, begin, end))
        return self._batches(name, asked.order_by(at, table.c.impression_id, table.c.creative_id))

    def ids(self, name: str) -> list[str]:
        """The keys of all rows of a table, in their order."""
        from sqlalchemy import select

        key = self.table(name).c[TABLES[name].key[0]]
        return self._ids(name, select(key).order_by(key))

    def ids_between(self, name: str, begin: datetime, end: datetime) -> list[str]:
        """The keys of a log's rows of a time, in its order."""
        from sqlalchemy import select

        table = self.table(name)
        key, at = table.c[TABLES[name].key[0]], self._at(table)
        return self._ids(name, select(key).where(*self._within(at, begin, end)).order_by(at, key))

    def with_ids(self, name: str, column: str, ids: Sequence[str]) -> Iterator[pa.Table]:
        """The rows with one of the ids in `column`, some at a time, ordered by their first two columns."""
        from sqlalchemy import select

        table = self.table(name)
        for start in range(0, len(ids), AT_ONCE):
            chosen = select(*table.c).where(self.is_one_of(name, table.c[column], ids[start : start + AT_ONCE]))
            yield from self._batches(name, chosen.order_by(*list(table.c)[:2]))

    def whole(self, name: str) -> Iterator[pa.Table]:
        """All rows of a table, in the order of its key."""
        from sqlalchemy import select

        table = self.table(name)
        return self._batches(name, select(*table.c).order_by(table.c[TABLES[name].key[0]]))

    def _at(self, table: Any) -> Any:
        return self.clock.compared(table.c.timestamp)

    def _within(self, at: Any, begin: datetime, end: datetime) -> tuple[Any, Any]:
        return at >= self.clock.bound(begin), at < self.clock.bound(end)

    def _extreme(self, choose: Callable[[Any], Any]) -> datetime | None:
        """The least or greatest time of an impression."""
        from sqlalchemy import select

        at = self._at(self.table("impressions"))
        found = self.connection.execute(select(choose(at)).where(self.has_time(at))).scalar()
        return None if found is None else self.clock.read(found)

    def _batches(self, name: str, statement: Any) -> Iterator[pa.Table]:
        """The rows of `statement`, which selects the columns of table `name` in order, `batch_rows` at a time.

        A column that the contract lets be absent, and that the database does not have, is added as all null.
        """
        columns = self.columns[name]
        absent = [each for each in TABLES[name].columns if each.nullable and each.name not in columns]
        streamed = self.connection.execution_options(yield_per=self.config.batch_rows).execute(statement)
        for rows in streamed.partitions():
            values = zip(*rows, strict=True)
            batch = pa.table(
                {each: _array(name, columns[each], held) for each, held in zip(columns, values, strict=True)}
            )
            for each in absent:
                batch = batch.append_column(each.name, pa.nulls(batch.num_rows, ARROW[each.kind]))
            yield batch

    def table(self, name: str) -> Any:
        """Table `name` for a statement."""
        from sqlalchemy import column, table

        return table(name, *(column(each) for each in self.columns[name]))

    def _ids(self, name: str, statement: Any) -> list[str]:
        """The one column that `statement` selects, the key of table `name`, as the contract's ids."""
        take = self.columns[name][TABLES[name].key[0]].take
        return [take(value) for (value,) in self.connection.execute(statement)]

    def is_one_of(self, name: str, column: Any, ids: Sequence[str]) -> Any:
        """The condition that `column`, of table `name`, is one of the contract's `ids`.

        The ids go to the server without a type, so that it reads them as the column's own, be it uuid, enum or text.
        """
        from sqlalchemy import bindparam
        from sqlalchemy.types import NullType

        keys = [self.columns[name][column.name].key(each) for each in ids]
        return column.in_(bindparam(None, keys, type_=NullType(), expanding=True))

    def is_same(self, left: tuple[str, Any], right: tuple[str, Any]) -> Any:
        """The condition that two columns, each with the name of its table, hold the same id; as texts if need be."""
        from sqlalchemy import String, cast

        families = {self.columns[name][column.name].family for name, column in (left, right)}
        if len(families) == 1:
            return left[1] == right[1]
        return cast(left[1], String) == cast(right[1], String)

    def has_time(self, at: Any) -> Any:
        """The condition that the time `at` is one that a calendar has: neither null nor infinite."""
        return at.between(self.clock.bound(EARLIEST), self.clock.bound(LATEST))


@contextmanager
def snapshot(config: SourceConfig) -> Iterator[Database]:
    """One read-only transaction that sees the database as it was when it began; DatabaseFailed for what fails in it."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    url = address(config)
    place = f"{url.host or 'local'}/{url.database or ''}"
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            yield _opened(place, connection, inspect(connection), config)
    except SQLAlchemyError as error:
        raise DatabaseFailed(f"{place}: {_without_secrets(error, url)}", _is_passing(error)) from None
    finally:
        engine.dispose()


def _engine(url: Any) -> Any:
    """What connects to the database of the URL, reads alone, and sees one state of it within a transaction."""
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
    host = "" if url.get_backend_name() == "sqlite" else url.host or "local"
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def _opened(place: str, connection: Any, inspector: Any, config: SourceConfig) -> Database:
    """What is to be read of each contract table that is there; UserError for a missing column and for naive times."""
    present, opened = _relations(inspector), {}
    for name, declared in TABLES.items():
        if name not in present:
            if declared.needed:
                raise UserError(f"{name}: the database has no such table or view, and every data set needs it")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of types that SQLAlchemy does not know, in columns that may not matter
            types = {column["name"]: column["type"] for column in inspector.get_columns(name)}
        missing = declared.missing(types)
        if missing:
            raise UserError(f"{name}: the database's table has no column {', '.join(missing)}")
        names = [each.name for each in declared.columns if each.name in types]
        names += [each for each in types if declared.is_open(each)]
        naive_utc, lite = config.naive_times == "utc", inspector.dialect.name == "sqlite"
        column = sqlite_column if lite else sql_column
        opened[name] = {each: column(declared, each, types[each], naive_utc) for each in names}
        if not lite and "timestamp" in names and is_day(types["timestamp"]):
            log.warning(
                "%s.timestamp: days without a clock time, read as midnight UTC: what happened later on that day counts "
                "as known from its beginning",
                name,
            )
    clock = _sqlite_clock() if inspector.dialect.name == "sqlite" else SERVERS
    return Database(place, connection, opened, config, clock)


def _relations(inspector: Any) -> set[str]:
    """Names of tables and of whatever else rows can be selected from."""
    names = {*inspector.get_table_names(), *inspector.get_view_names()}
    if inspector.dialect.name == "postgresql":
        names |= {*inspector.get_materialized_view_names(), *inspector.get_foreign_table_names()}
    return names


def _array(table: str, column: SqlColumn, values: Iterable[Any]) -> pa.Array:
    taken = [None if value is None else column.take(value) for value in values]
    try:
        return pa.array(taken, column.field.type)
    except (pa.ArrowInvalid, OverflowError) as error:
        raise UserError(f"{table}.{column.field.name}: {str(error).splitlines()[0]}, in the database") from None


def _is_passing(error: Any) -> bool:
    """Whether a driver's error may be gone another time: no connection, no room, a lock, a server that restarts.

    PostgreSQL says it by the class of SQLSTATE, and before there is a connection by its text alone; MySQL by a number.
    """
    if getattr(error, "connection_invalidated", False):
        return True
    cause = getattr(error, "orig", None)
    if any(words in str(cause) for words in UNKNOWN_HOST):
        return False
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state.startswith(PASSING_STATES)
    number = next(iter(getattr(cause, "args", ())), None)
    if isinstance(number, int):
        return number in PASSING_NUMBERS
    refused = "FATAL:" in str(cause) and not any(words in str(cause) for words in PASSING_WORDS)
    return type(cause).__name__ in ("OperationalError", "ConnectionTimeout") and not refused


def _without_secrets(error: Exception, url: Any) -> str:
    """The first line of a driver's message without user and password."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    options = [value for name, value in url.query.items() if hidden(f"?{name}={value}") != f"?{name}={value}"]
    for secret in filter(None, (url.password, url.username, *options)):
        text = text.replace(secret, "***")
    return text
