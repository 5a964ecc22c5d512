"""Read and compare times in SQLite, where they are text. Its own function `datetime()` rounds to milliseconds."""

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
    """A read-only connection with the SQL function FUNCTION; UserError if there is no such file."""
    if not Path(path).is_file():
        raise UserError(f"source.url: there is no file {path}")
    # transactions are begun by hand, so that all queries see one state
    connection = sqlite3.connect(f"file:{quote(str(Path(path).absolute()))}?mode=ro", uri=True, isolation_level=None)
    connection.create_function(FUNCTION, 1, microseconds, deterministic=True)
    return connection


def microseconds(value: Any) -> int | None:
    """Microseconds since 1970 of an ISO 8601 text, taken as UTC if it has no zone; None for other values."""
    try:
        return (_zoned(value) - EPOCH) // MICROSECOND
    except (TypeError, ValueError):
        return None


def moment(count: int) -> datetime:
    """The UTC time `count` microseconds after the begin of 1970."""
    return EPOCH + count * MICROSECOND


def converter(naive_utc: bool, place: str) -> Callable[[Any], datetime]:
    """Function from a value of the column `place` to a UTC time; UserError for a naive time unless `naive_utc`."""

    def convert(value: Any) -> datetime:
        if not naive_utc and isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None:
            raise UserError(f"{place}: times without a zone in the database; `naive_times: utc` reads them as UTC")
        return _zoned(value)

    return convert


def _zoned(value: Any) -> datetime:
    if not isinstance(value, str):
        raise TypeError("not a text")
    parsed = datetime.fromisoformat(value)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
