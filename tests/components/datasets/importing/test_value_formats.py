from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.datasets.importing import guessing, value_formats
from components.datasets.importing.cell_expressions import expression
from components.datasets.importing.mapping import ColumnRule, Mapping
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError

MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)).map(lambda moment: moment.replace(microsecond=0))
WRITTEN = (  # how a moment is written -> what is lost
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y年%m月%d日 %H时%M分%S秒",
    "%d %b %Y %H:%M:%S", "%b %d, %Y %I:%M:%S %p", "%d-%b-%Y %H:%M:%S",
)  # fmt: skip


def read(name: str, rule: ColumnRule, texts: list[str], role: str = "impressions"):
    """The texts as the import reads them."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE TABLE cells (n INTEGER, cell VARCHAR)")
    connection.executemany("INSERT INTO cells VALUES (?, ?)", [[n, text] for n, text in enumerate(texts)])
    sql = expression(role, name, rule, Mapping(zone="UTC", files=()))
    return [row[0] for row in connection.execute(f"SELECT {sql} FROM cells ORDER BY n").fetchall()]


@settings(max_examples=25, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from(WRITTEN))
def test_a_time_is_read_as_it_was_written(moments, written):
    texts = [moment.strftime(written) for moment in moments]
    found = value_formats.time_format(texts, "column t")
    rule = ColumnRule(column="cell", format=found.formats)
    assert [moment.replace(tzinfo=None) for moment in read("timestamp", rule, texts)] == moments


@settings(max_examples=25, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from(["%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"]))
def test_day_and_month_are_told_apart_or_asked_for_never_swapped(moments, written):
    texts = [moment.strftime(written) for moment in moments]
    found = value_formats.time_format(texts, "column t")
    assert found.ambiguous or found.formats == (written,)
    assert found.ambiguous == all(moment.day <= 12 for moment in moments)


@settings(max_examples=25, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from([1, 1000, 1_000_000]))
def test_epoch_numbers_are_read_in_their_unit(moments, scale):
    moments = [max(moment, datetime(2001, 9, 10)) for moment in moments]
    seconds = [(moment - datetime(1970, 1, 1)) // timedelta(seconds=1) for moment in moments]
    texts = [str(second * scale) for second in seconds]
    found = value_formats.time_format(texts, "column t")
    rule = ColumnRule(column="cell", format=found.formats)
    assert not found.needs_zone
    assert [moment.replace(tzinfo=None) for moment in read("timestamp", rule, texts)] == moments


def test_two_units_or_two_orders_in_one_column_are_refused():
    with pytest.raises(UserError, match=r"1772366400 \(epoch seconds\) and 1772366400000 \(epoch milliseconds\)"):
        value_formats.time_format(["1772366400", "1772366400000"], "column t")
    with pytest.raises(UserError, match="'13/01/2026' has the day first and '01/13/2026' the month"):
        value_formats.time_format(["13/01/2026", "01/13/2026"], "column t")


def written(number: float, mark: str, digits: int) -> str:
    text = f"{number:,.{digits}f}"
    return text if mark == "." else text.translate(str.maketrans(",.", ".,"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=6), st.sampled_from(".,"), st.sampled_from([0, 1, 2])
)
def test_a_number_is_read_as_it_was_written_or_asked_for(cents, mark, digits):
    numbers = [round(cent / 10**digits, digits) for cent in cents]
    texts = [written(number, mark, digits) for number in numbers]
    found = value_formats.decimal_mark(texts)
    if found == OPEN:  # 1,234: nothing shows what it is
        assert digits == 0
        found = mark
    if digits or any(len(text) > 4 for text in texts):
        assert found == mark or digits == 0
    assert read("revenue", ColumnRule(column="cell", decimal=found), texts) == numbers


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1.5", "2"], "."), (["1,5", "2"], ","), (["1,234.5"], "."), (["1.234,5"], ","), (["1,234"], OPEN),
        (["1.234"], OPEN), (["0.125", "1.234"], "."), (["0,125"], ","), (["7", "8"], "."), (["1 234,50 €"], ","),
        (["$1,234.00"], "."), (["12.5", "12,5"], None), (["many"], None),
    ],
)  # fmt: skip
def test_the_mark_before_fractions(texts, mark):
    assert value_formats.decimal_mark(texts) == mark


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**22), min_size=1, max_size=6))
def test_an_id_keeps_every_digit(numbers):
    texts = [str(number) for number in numbers]
    assert value_formats.id_fault(texts) is None
    assert read("shopper_id", ColumnRule(column="cell"), texts) == texts


def test_ids_of_floats_lose_their_point_and_no_digit():
    assert value_formats.has_point_zero(["123.0", "7.0"])
    assert read("shopper_id", ColumnRule(column="cell", point_zero=True), ["123.0", "7.0", " 8 "]) == ["123", "7", "8"]
    assert value_formats.id_fault(["9007199254740993.0"])
    assert value_formats.id_fault(["1E+10"])
    assert value_formats.id_fault(["12E5", "1e10"]) is None  # may be hexadecimal


def test_words_for_yes_and_no():
    assert value_formats.yes_no(["ja", "nein", "ja"]) == (("ja",), ("nein",))
    assert value_formats.yes_no(["是", "否"]) == (("是",), ("否",))
    assert value_formats.yes_no(["TRUE", "false"]) == (("TRUE",), ("false",))
    assert value_formats.yes_no(["0", "1", "2"]) is None


def test_ids_that_a_spreadsheet_rounded_end_in_zeros():
    fault = value_formats.id_fault(["123456789012345000", "123456789012399000", "17"])
    assert fault == (
        "all ids of more than 15 digits end in zeros, such as '123456789012345000': a spreadsheet rounded them"
    )
    assert value_formats.id_fault(["123456789012345000", "123456789012345678"]) is None
    assert value_formats.id_fault(["1000000000000000000"]) is None  # one may be chance


def test_yen_and_yuan_are_told_apart_by_the_files_language_or_asked_for():
    assert value_formats.currencies(["¥1,200"]) == {OPEN}
    assert value_formats.currencies(["¥1,200"], chinese=True) == value_formats.currencies(["￥1,200"]) == {"CNY"}


def test_days_of_a_spreadsheet_are_times_to_the_millisecond():
    texts = ["46083.410439815", "46083"]
    found = value_formats.time_format(texts, "column t")
    assert found.formats == ("excel days",) and found.needs_zone
    read_back = read("timestamp", ColumnRule(column="cell", format="excel days"), texts)
    assert [str(moment.replace(tzinfo=None)) for moment in read_back] == [
        "2026-03-02 09:51:02",
        "2026-03-02 00:00:00",
    ]


def test_wide_digits_are_digits():
    assert value_formats.decimal_mark(["３０．５％"]) == "."
    assert read("propensity", ColumnRule(column="cell", decimal=".", form="percent"), ["３０．５％"]) == [0.305]


def test_multiples_count_where_the_mapping_says_so():
    """1.2万 is 12,000 as platforms write it; elsewhere 4K is no number."""
    texts = ["1.2万", "3亿", "4.35千", "¥1,250.5K", "2M", "17", "万", "1.2万元"]
    counted = [12_000.0, 300_000_000.0, 4_350.0, 1_250_500.0, 2_000_000.0, 17.0, None, 12_000.0]

    def rule(mark: str, multiples: bool | None = True) -> ColumnRule:
        return ColumnRule(column="cell", decimal=mark, multiples=multiples)

    assert read("revenue", rule("."), texts) == counted
    assert read("revenue", rule(","), ["1,25万"]) == [12_500.0]
    assert read("position", rule("."), ["1K", "1.0005K"]) == [1000, None]
    assert read("revenue", rule(".", None), ["4K", "8"]) == [None, 8.0]


def test_multiples_are_guessed_from_the_values():
    def guessed(*values: str) -> ColumnRule:
        return guessing._number(ColumnRule(column="cell"), values, "column cell", whole=False)

    assert (guessed("1.2万", "17").multiples, guessed("1.2万", "17").decimal) == (True, ".")
    assert guessed("17", "18.5").multiples is None
    with pytest.raises(UserError, match="expected numbers, and it holds 'many'"):
        guessed("1.2万", "many")
