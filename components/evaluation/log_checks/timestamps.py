"""Times in UTC from a column in any common form; a column that mixes forms is refused.

Seconds mixed with milliseconds, or day/month mixed with month/day, would be sorted wrongly without a warning. So a
column is read in one unit and one order of day and month, and the order must follow from the column.
"""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

# smallest and largest number of each unit since 1970, from March 1973 to the year 2286, so that no two overlap
EPOCHS = {"s": (1e8, 1e10), "ms": (1e11, 1e13), "us": (1e14, 1e16), "ns": (1e17, 1e19)}
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SLASHED = re.compile(r"^\s*(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
ZONED = re.compile(r"(?:[zZ]|[+-]\d{2}:?\d{2}|UTC|GMT)\s*$")
NUMBER = re.compile(r"^\s*[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\s*$")

Refuse = Callable[[pd.Series, str], None]


def parse_times(column: pd.Series, refuse: Refuse) -> pd.Series:
    """The column as timestamp[us, UTC]; times without a zone are in UTC.

    refuse(faulty, what): raises an error about the first faulty row (bool [n]), if there is one.
    """
    refuse(column.isna(), "is empty")
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    text = column.astype(str)
    numeric = text.str.match(NUMBER)
    if numeric.all():
        return _since_1970(column, refuse)
    if numeric.any():
        refuse(numeric, f"mixes numbers with texts such as {text[~numeric].iloc[0]!r}; write all times in one form")
    return _written(text, refuse)


def _since_1970(column: pd.Series, refuse: Refuse) -> pd.Series:
    """Numbers as time since 1970, in the unit that follows from their size."""
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    inside = {name: numbers.abs().between(low, high) for name, (low, high) in EPOCHS.items()}
    outside = ~np.logical_or.reduce(list(inside.values()))
    refuse(outside, "is not a time: numbers must be seconds, milliseconds, micro- or nanoseconds since 1970")
    units = [name for name, rows in inside.items() if rows.any()]
    if len(units) > 1:
        first, second = units[:2]
        examples = " and ".join(
            f"{column[inside[name]].iloc[0]} in row {int(np.flatnonzero(inside[name])[0]) + 1} is in {UNIT_NAMES[name]}"
            for name in (first, second)
        )
        refuse(inside[second], f"is in several units since 1970 ({examples}); write all times in one unit")
    whole = pd.to_numeric(column, errors="coerce")
    return pd.to_datetime(whole, unit=units[0], utc=True)


def _written(text: pd.Series, refuse: Refuse) -> pd.Series:
    """Texts as dates and times: ISO 8601, or one order of day and month throughout."""
    day_first = _order_of_day_and_month(text, refuse)
    zoned = text.str.contains(ZONED)
    clock = text.str.contains(":")
    mixed = zoned.any() and not zoned[clock].all()
    if mixed:
        example = text[zoned].iloc[0]
        refuse(clock & ~zoned, f"has no zone, while others have one, such as {example!r}; write all with their zone")
    times = pd.to_datetime(text, utc=True, errors="coerce", format="mixed", dayfirst=bool(day_first))
    refuse(times.isna(), "is not a time")
    return times


def _order_of_day_and_month(text: pd.Series, refuse: Refuse) -> bool | None:
    """Whether dates such as 03/04/2026 name the day first; None if there are none. Ambiguous columns are refused."""
    parts = text.str.extract(SLASHED)
    slashed = parts[0].notna()
    if not slashed.any():
        return None
    first, second = (pd.to_numeric(parts[column], errors="coerce") for column in (0, 2))
    day_first, month_first = slashed & (first > 12), slashed & (second > 12)
    advice = "write dates as 2026-12-31"
    if day_first.any() and month_first.any():
        examples = f"{text[day_first].iloc[0]!r} names the day first, {text[month_first].iloc[0]!r} the month"
        refuse(month_first, f"mixes two orders of day and month ({examples}); {advice}")
    if not day_first.any() and not month_first.any():
        refuse(slashed, f"can be read as day/month or as month/day; {advice}")
    return bool(day_first.any())
