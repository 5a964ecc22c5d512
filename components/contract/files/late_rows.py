"""Rows that came after their day was written: `<table>/day=D/late-E.parquet`, known once the log ends on E.

A partition is immutable, so rows that came late lie beside it, and a run as of a time before E does without them.
"""

from datetime import UTC, date, datetime, time

from components.settings.errors import UserError

PREFIX = "late-"


def late_name(ends_at: datetime) -> str:
    """The file name of rows that are known first when the log ends at `ends_at`."""
    return f"{PREFIX}{ends_at:%Y-%m-%d}.parquet"


def is_late(file_name: str) -> bool:
    """Whether a file holds rows that came after their day was written."""
    return file_name.startswith(PREFIX)


def known_by(file_name: str, as_of: datetime | None) -> bool:
    """Whether the rows of a partition's file were there at `as_of` (None: now); UserError for a name without a day."""
    if not is_late(file_name) or as_of is None:
        return True
    try:
        came = date.fromisoformat(file_name.removeprefix(PREFIX).removesuffix(".parquet"))
    except ValueError:
        raise UserError(f"{file_name}: rows that came late are in files such as late-2026-02-03.parquet") from None
    return datetime.combine(came, time(), UTC) <= as_of
