"""Locks of the registry, which has no compare-and-swap, and of a data set's artifacts.

Every change of the registry holds its lock. On SQLite the lock is a file beside the database, which works for all
clones that share the database; on PostgreSQL it is an advisory lock of the database, which works for all machines. An
MLflow server, or another database, has no lock for Adloom: there `promotion.lock` must name a PostgreSQL, whose lock is
used instead.
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

KEY = 0x61646C6F6F6D  # "adloom", the number of the PostgreSQL lock
CONNECT_SECONDS = 10
TRY_SECONDS = 0.2
SETTING = "promotion.lock"
PASSWORD = re.compile(r"://[^/@]*?:(?!\$\{\w+\}@)[^@]*@|[?&](password|passwd)=", re.IGNORECASE)

_held: dict[Path, int] = {}  # lock files that this process holds, and how many times each


def store_lock(setting: str | None = None) -> AbstractContextManager[None]:
    """The lock of the registry at MLFLOW_TRACKING_URI; `setting` is `promotion.lock`.

    UserError if neither the registry nor `setting` has a lock. Unavailable if the database cannot be reached, or is
    lost while the lock is held.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    lock = _lock_of(uri)
    if lock is not None:
        return lock
    if setting is None:
        raise UserError(
            f"the registry is {_kind(uri)}, which has no lock against two promotions at once, so nothing is charged or "
            f"moved there; set {SETTING} to the URL of a PostgreSQL whose lock is used instead"
        )
    return _database_lock(_lock_url(setting))


def migration_lock(uri: str) -> AbstractContextManager[None]:
    """The lock to hold while the tables of the database at `uri` are created; none for a server, which creates its."""
    return _lock_of(uri) or nullcontext()


def _lock_of(uri: str) -> AbstractContextManager[None] | None:
    """The lock of the database at `uri`; None if it has none."""
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
    """`promotion.lock` with each ${NAME} replaced; UserError if it has a password or is another kind of database."""
    if PASSWORD.search(setting):
        raise UserError(f"{SETTING} holds a password; write ${{NAME}} in its place and set that environment variable")
    url = expand(setting)
    if not url.startswith("postgresql"):
        raise UserError(f"{SETTING} must be a PostgreSQL, as postgresql://${{NAME}}:${{PASSWORD}}@host/database")
    return url


@contextmanager
def _file_lock(database: Path | None) -> Iterator[None]:
    """Hold the lock file beside the SQLite `database`; None, a database in memory, needs no lock."""
    import fcntl

    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with _opened(database.with_name(f"{database.name}.lock"), database) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(file: Path, like: Path):
    """The lock `file`, opened, and created if missing, with the permissions of the file `like`."""
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
def folder_lock(folder: Path, command: str) -> Iterator[None]:
    """Hold the lock of `folder` during `command`; a process that holds it may take it again.

    UserError, naming the holder, if another process holds it. The lock is the file .NAME.lock beside the folder and
    ends with the process.
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
            handle.write(json.dumps({"command": command, "pid": os.getpid(), "host": socket.gethostname()}))
            handle.flush()
            yield
        finally:
            del _held[file]


def _holder(text: str) -> str:
    try:
        record = json.loads(text)
        return f"{record['command']} (process {record['pid']} on {record['host']})"
    except (ValueError, KeyError, TypeError):  # the holder has not written its record yet
        return "another process"


@contextmanager
def _database_lock(uri: str) -> Iterator[None]:
    from sqlalchemy import text
    from sqlalchemy.engine import make_url

    where = hidden(make_url(uri).render_as_string(hide_password=True))
    connection = _connect(uri, where)
    try:
        # not pg_advisory_lock: a statement that waits holds a snapshot, and CREATE INDEX CONCURRENTLY, which Prefect's
        # migrations use, waits for all snapshots, so the holder would wait for those that wait for it
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}):
            time.sleep(TRY_SECONDS)
        yield
    except Exception as error:
        if not _is_loss(error):
            raise
        raise Unavailable(
            f"the connection to the database {where} was lost; run the same command again to write what is missing"
        ) from None
    finally:
        connection.invalidate()  # ends the session, and so the lock, in any state of the connection
        connection.close()


def _connect(uri: str, where: str):
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    url = make_url(uri).set(drivername="postgresql+psycopg")  # Prefect's driver is asynchronous
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except ModuleNotFoundError as error:
        raise UserError(f"the database {where} needs the package {error.name}: install the extra `sql`") from None
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise Unavailable(f"the database {where} cannot be reached: {reason}") from None


def _is_loss(error: BaseException) -> bool:
    """Whether `error` is a lost connection to the database, by SQLAlchemy's or MLflow's error type."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    lost = isinstance(error, OperationalError | InterfaceError)
    return lost or getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE"
