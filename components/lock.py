"""One lock for all that change the registry, which has no compare-and-swap of its own.

Where MLflow's store is a PostgreSQL the lock is the database's, and holds for every machine that uses it; else it is a
file in the state folder, and holds for this one.
"""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from components.addresses import hidden
from components.errors import Unavailable, UserError

KEY = 0x61646C6F6F6D  # "adloom", as the number that PostgreSQL knows the lock by
CONNECT_SECONDS = 10
TRY_SECONDS = 0.2


@contextmanager
def store_lock() -> Iterator[None]:
    """Hold the lock of the registry; a database that is away, or goes away meanwhile, becomes Unavailable."""
    with lock_of(os.environ.get("MLFLOW_TRACKING_URI", "")):
        yield


def lock_of(uri: str) -> AbstractContextManager[None]:
    """The lock of the database at `uri`: its own where it is a PostgreSQL, else a file's."""
    return _database_lock(uri) if uri.startswith("postgresql") else _file_lock()


@contextmanager
def _file_lock() -> Iterator[None]:
    import fcntl

    folder = Path(os.environ.get("ADLOOM_STATE", ".adloom"))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "registry.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
