"""A column of times is read in one unit and one order of day and month, or not at all."""

import numpy as np
import pandas as pd
import pytest

from components.evaluation.log_checks.timestamps import parse_times


class Refused(Exception):
    pass


def refuse(faulty, what):
    if np.asarray(faulty).any():
        raise Refused(what)


START = pd.Timestamp("2026-01-01T10:00:00Z")


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_since_1970_in_any_one_unit(unit, scale, text):
    numbers = pd.Series([int(START.timestamp()) * scale, (int(START.timestamp()) + 60) * scale])
    read = parse_times(numbers.astype(str) if text else numbers, refuse)
    assert read.tolist() == [START, START + pd.Timedelta(minutes=1)]


def test_seconds_with_fractions():
    assert parse_times(pd.Series([START.timestamp() + 0.5]), refuse)[0] == START + pd.Timedelta(milliseconds=500)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1767225600, 1767225600000], "several units.*seconds.*milliseconds"),
        ([1767225600000, 1767225600000000], "several units"),
        ([17, 18], "is not a time: numbers must be"),
        ([20260101, 20260102], "is not a time: numbers must be"),
        (["1767225600", "2026-01-01"], "mixes numbers with texts such as '2026-01-01'"),
        (["03/04/2026", "05/06/2026"], "can be read as day/month or as month/day"),
        (["3.4.2026 10:00", "5.6.2026 11:00"], "can be read as day/month or as month/day"),
        (["13/04/2026", "04/13/2026"], "mixes two orders of day and month.*'13/04/2026' names the day first"),
        (["2026-01-01T10:00:00Z", "2026-01-01T10:00:00"], "has no zone, while others have one"),
        (["soon", "2026-01-01"], "is not a time"),
        ([None, "2026-01-01"], "is empty"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(values, words):
    with pytest.raises(Refused, match=words):
        parse_times(pd.Series(values), refuse)


def test_slashed_dates_that_show_their_order():
    assert parse_times(pd.Series(["13/04/2026", "02/05/2026"]), refuse).dt.month.tolist() == [4, 5]
    assert parse_times(pd.Series(["04/13/2026", "05/02/2026"]), refuse).dt.month.tolist() == [4, 5]


def test_iso_texts_and_times_without_a_zone():
    read = parse_times(pd.Series(["2026-01-01T10:00:00+02:00", "2026-01-01T10:00:00Z"]), refuse)
    assert read.dt.hour.tolist() == [8, 10]
    assert parse_times(pd.Series(["2026-01-01 10:00", "2026-01-02"]), refuse)[0] == START
    assert parse_times(pd.Series([START.tz_localize(None)]), refuse)[0] == START
