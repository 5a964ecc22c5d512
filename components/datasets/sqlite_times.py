"""SQLite keeps times as text: how they are read and compared. `datetime()` of its own rounds to milliseconds."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from components.settings.errors import UserError

FUNCTION = "adloom_microseconds"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def connect(path: str) -> sqlite3.Connection:
    """A read-only connection that knows FUNCTION; UserError where there is no such file."""
    if not Path(path).is_file():
        raise UserError(f"source.url: there is no file {path}")
    # transactions are begun by hand, so that all questions see one state
    connection = sqlite3.connect(f"file:{quote(str(Path(path).absolute()))}?mode=ro", uri=True, isolation_level=None)
    connection.create_function(FUNCTION, 1, microseconds, deterministic=True)
    return connection


def microseconds(value: Any) -> int | None:
    """A time in ISO 8601 -> microseconds since 1970 in UTC, which is meant where it names no zone; None for others."""
    try:
        return (_zoned(value) - EPOCH) // MICROSECOND
    except (TypeError, ValueError):
        return None


def moment(count: int) -> datetime:
    """What `microseconds` counted as a time."""
    return EPOCH + count * MICROSECOND


def taker(naive_utc: bool, place: str) -> Callable[[Any], datetime]:
    """What makes a value of the column `place` a time; UserError for one without a zone, unless that means UTC."""

    def take(value: Any) -> datetime:
        if not naive_utc and isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None:
            raise UserError(f"{place}: times without a zone in the database; `naive_times: utc` takes them for UTC")
        return _zoned(value)

    return take


def _zoned(value: Any) -> datetime:
    if not isinstance(value, str):
        raise TypeError("no text")
    found = datetime.fromisoformat(value)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
