"""Files of late rows, which came after their day was written: `<table>/day=D/late-E.parquet`, where the log ended on E.

A partition is immutable, so late rows have a file of their own beside it. A run as of a time before E leaves it out.
"""

from datetime import UTC, date, datetime, time

from components.settings.errors import UserError

LATE_PREFIX = "late-"


def late_name(ends_at: datetime) -> str:
    """The name of a file of late rows that are first known when the log ends at `ends_at`."""
    return f"{LATE_PREFIX}{ends_at:%Y-%m-%d}.parquet"


def is_late(file_name: str) -> bool:
    """Whether a file of this name holds late rows."""
    return file_name.startswith(LATE_PREFIX)


def available_at(file_name: str, as_of: datetime | None) -> bool:
    """Whether the rows of a partition's file were known at `as_of` (None: now); UserError for a name without a day."""
    if not is_late(file_name) or as_of is None:
        return True
    try:
        known_from = date.fromisoformat(file_name.removeprefix(LATE_PREFIX).removesuffix(".parquet"))
    except ValueError:
        raise UserError(f"{file_name}: a file of late rows has a name such as late-2026-02-03.parquet") from None
    return datetime.combine(known_from, time(), UTC) <= as_of
