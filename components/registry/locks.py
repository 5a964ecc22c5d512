"""Locks: of the registry, which has no compare-and-swap of its own, and of a data set's artifacts.

Whoever changes the registry holds its lock. On SQLite that is a file beside the database, so that two clones which
share the database exclude each other; on PostgreSQL it is the database's own, for every machine that uses it. An MLflow
server, or another database, has none that Adloom could hold: there `promotion.lock` has to name a PostgreSQL, whose
lock is used instead.
"""

import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from components.settings.addresses import hidden
from components.settings.environment import expand
from components.settings.errors import Unavailable, UserError

KEY = 0x61646C6F6F6D  # "adloom", as the number that PostgreSQL knows the lock by
CONNECT_SECONDS = 10
TRY_SECONDS = 0.2
SETTING = "promotion.lock"
PASSWORD = re.compile(r"://[^/@]*?:(?!\$\{\w+\}@)[^@]*@|[?&](password|passwd)=", re.IGNORECASE)

_held: dict[Path, int] = {}  # lock files of folders that this process holds, and how many times it asked for each


def store_lock(setting: str | None = None) -> AbstractContextManager[None]:
    """The lock of the registry that MLFLOW_TRACKING_URI names; `setting` is `promotion.lock`.

    UserError where the registry has none and `setting` names none. A database that is away, or goes away while the
    lock is held, becomes Unavailable.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    own = _own_lock(uri)
    if own is not None:
        return own
    if setting is None:
        raise UserError(
            f"the registry is {_kind(uri)}, which cannot keep two promoters apart, so nothing is charged or moved "
            f"there; set {SETTING} to the URL of a PostgreSQL whose lock is used instead"
        )
    return _database_lock(_lock_url(setting))


def migration_lock(uri: str) -> AbstractContextManager[None]:
    """The lock to hold while the tables of the database at `uri` are made; a server makes its own."""
    return _own_lock(uri) or nullcontext()


def _own_lock(uri: str) -> AbstractContextManager[None] | None:
    """The lock that comes with the database at `uri`; None where there is none."""
    if uri.startswith("postgresql"):
        return _database_lock(uri)
    if uri.startswith("sqlite"):
        return _file_lock(sqlite_file(uri))
    return None


def sqlite_file(uri: str) -> Path | None:
    """The file of the SQLite database at `uri`, links resolved; None for one in memory."""
    from sqlalchemy.engine import make_url

    name = (make_url(uri).database or "").removeprefix("file:").partition("?")[0]
    return None if name in ("", ":memory:") else Path(name).resolve()


def _kind(uri: str) -> str:
    scheme = uri.partition(":")[0]
    return f"an MLflow server ({scheme})" if scheme in ("http", "https") else f"kept by {scheme or 'nothing'}"


def _lock_url(setting: str) -> str:
    """`promotion.lock` with its ${NAME} replaced; UserError for a password in it, and for another kind of database."""
    if PASSWORD.search(setting):
        raise UserError(f"{SETTING} holds a password; write ${{NAME}} in its place and set that environment variable")
    url = expand(setting)
    if not url.startswith("postgresql"):
        raise UserError(f"{SETTING}: only a PostgreSQL serves, as postgresql://${{NAME}}:${{PASSWORD}}@host/database")
    return url


@contextmanager
def _file_lock(database: Path | None) -> Iterator[None]:
    """Hold the lock file beside the SQLite `database`; one in memory is this process's alone and needs none."""
    import fcntl

    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with _opened(database.with_name(f"{database.name}.lock"), database) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(file: Path, like: Path):
    """The lock `file`, made where it is missing: open to those, and only those, who may write to the file `like`."""
    mode = stat.S_IMODE(like.stat().st_mode) if like.exists() else 0o600
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        os.fchmod(descriptor, mode)
    except FileExistsError:
        try:
            descriptor = os.open(file, os.O_RDWR)
        except PermissionError:
            raise UserError(f"{file}: this user may not open the lock, which belongs to another user") from None
    return os.fdopen(descriptor, "r+")


@contextmanager
def folder_lock(folder: Path, deed: str) -> Iterator[None]:
    """Hold the lock of `folder` while this process does `deed` in it; it may ask again for what it holds.

    UserError, naming the holder, where another process holds it. The lock is the file .NAME.lock beside the folder and
    ends with the process, however that ends.
    """
    import fcntl

    file = folder.resolve().with_name(f".{folder.name}.lock")
    if file in _held:
        _held[file] += 1
        try:
            yield
        finally:
            _held[file] -= 1
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with _opened(file, file.parent / "nothing") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: {_holder(handle.read())} is working there; try again when it has ended"
            ) from None
        _held[file] = 1
        try:
            handle.truncate(0)
            handle.write(json.dumps({"deed": deed, "pid": os.getpid(), "host": socket.gethostname()}))
            handle.flush()
            yield
        finally:
            del _held[file]


def _holder(text: str) -> str:
    try:
        record = json.loads(text)
        return f"{record['deed']} (process {record['pid']} on {record['host']})"
    except (ValueError, KeyError, TypeError):  # it has the lock, and has not said who it is yet
        return "another process"


@contextmanager
def _database_lock(uri: str) -> Iterator[None]:
    from sqlalchemy import text
    from sqlalchemy.engine import make_url

    where = hidden(make_url(uri).render_as_string(hide_password=True))
    connection = _connect(uri, where)
    try:
        # Not pg_advisory_lock: who waits within a statement holds a snapshot, and CREATE INDEX CONCURRENTLY, of which
        # Prefect's migrations have many, waits for all of those. The holder would wait for its own queue, for ever.
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}):
            time.sleep(TRY_SECONDS)
        yield
    except Exception as error:
        if not _is_loss(error):
            raise
        raise Unavailable(
            f"the database {where} went away; whatever was not written yet is written by doing the same again"
        ) from None
    finally:
        connection.invalidate()  # ends the session, and the lock with it, whatever state the connection is in
        connection.close()


def _connect(uri: str, where: str):
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    own = make_url(uri).set(drivername="postgresql+psycopg")  # Prefect's own driver is asynchronous
    try:
        engine = create_engine(own, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except ModuleNotFoundError as error:
        raise UserError(f"the database {where} needs the package {error.name}: install the extra `sql`") from None
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise Unavailable(f"the database {where} cannot be reached: {reason}") from None


def _is_loss(error: BaseException) -> bool:
    """Whether `error` says that the database went away: SQLAlchemy's own word for it, or MLflow's around that."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    lost = isinstance(error, OperationalError | InterfaceError)
    return lost or getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE"
