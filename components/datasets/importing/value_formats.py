"""How the values of a column are written, seen from texts: times, numbers, yes and no, ids; `?`: not clear."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.datasets.importing.column_names import listed
from components.settings.errors import UserError

OPEN = "?"  # a value of the mapping that a person is to put in
NO_VALUE = (
    "",
    "null",
    "NULL",
    "Null",
    "none",
    "None",
    "nan",
    "NaN",
    "NAN",
    "n/a",
    "N/A",
    "#N/A",
    "#REF!",
    "#VALUE!",
    "#NAME?",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
    "NA",
    "\\N",
    "-",
    "--",
    "<NA>",
    "NaT",
    "0000-00-00",  # how MySQL writes no time
    "0000-00-00 00:00:00",
    "0000-00-00T00:00:00",
    "0000-00-00T00:00:00Z",
)
NO_TIME = re.compile(
    r"(?:1970-01-01|0001-01-01|1900-01-0[01]|1899-12-3[01]|9999-12-31)(?:[T ].*)?"
)  # in a log of today
LONG_ID, LOST_DIGITS = 15, 6  # digits that a spreadsheet keeps; zeros behind them that are no chance
NO_ID = tuple(word for word in NO_VALUE if word not in ("NA", "n/a", "N/A", "-", "--"))  # a creative may be called NA
OPPOSITES = {
    "1": "0", "1.0": "0.0", "true": "false", "TRUE": "FALSE", "True": "False", "t": "f", "yes": "no", "Yes": "No",
    "YES": "NO", "y": "n", "Y": "N", "ja": "nein", "Ja": "Nein", "oui": "non", "是": "否", "有": "无",
}  # fmt: skip
ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?"
    r"(?P<zone>\s*(?:Z|z|[+-]\d{2}(?::?\d{2})?|UTC|GMT))?"
)
DATES = (  # pattern -> strptime; `A` and `B` are day and month in an order that has to be found
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", "%Y%m%d"),
    (r"\d{4}年\d{1,2}月\d{1,2}日", "%Y年%m月%d日"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),  # no country writes month.day with dots
    (r"\d{1,2}/\d{1,2}/\d{4}", "A/B/%Y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "A-B-%Y"),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", "%d %b %Y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", "%b %d, %Y"),
)
CLOCKS = (
    (r"", ""),
    (r"[ T]\d{1,2}:\d{2}", " %H:%M"),
    (r"[ T]\d{1,2}:\d{2}:\d{2}", " %H:%M:%S"),
    (r"[ T]\d{1,2}:\d{2}:\d{2}\.\d{1,6}", " %H:%M:%S.%f"),
    (r",? \d{1,2}:\d{2} ?[AaPp][Mm]", " %I:%M %p"),
    (r",? \d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]", " %I:%M:%S %p"),
    (r" ?\d{1,2}时\d{1,2}分", " %H时%M分"),
    (r" ?\d{1,2}时\d{1,2}分\d{1,2}秒", " %H时%M分%S秒"),
)
CLOCK_ONLY = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?")
EPOCHS = {10: "epoch seconds", 13: "epoch milliseconds", 16: "epoch microseconds", 19: "epoch nanoseconds"}
FIRST_EPOCH, LAST_EPOCH = 946_684_800, 4_102_444_800  # the years 2000 and 2100, in seconds
EXCEL_DAYS, FIRST_DAY, LAST_DAY = "excel days", 36_526, 73_051  # days since 1899-12-30: the years 2000 to 2099
SCIENTIFIC = re.compile(r"[-+]?\d(?:[.,]\d+)?[eE]\+\d+")
CURRENCIES = {
    "€": "EUR",
    "EUR": "EUR",
    "£": "GBP",
    "GBP": "GBP",
    "USD": "USD",
    "US$": "USD",
    "$": "USD",
    "CNY": "CNY",
    "RMB": "CNY",
    "元": "CNY",
    "¥": "CNY",
    "￥": "CNY",
    "JPY": "JPY",
    "CHF": "CHF",
}
MONEY = re.compile(r"(?:US\$|[€$£¥￥元]|EUR|USD|GBP|CNY|RMB|CHF|JPY)")
WIDE, NARROW = "０１２３４５６７８９．，－", "0123456789.,-"  # as Chinese keyboards write them
MULTIPLES = {"k": 10**3, "K": 10**3, "千": 10**3, "万": 10**4, "萬": 10**4, "M": 10**6, "亿": 10**8, "億": 10**8}
MULTIPLE = f"[{''.join(MULTIPLES)}]$"
PLAIN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
POINT = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")  # 1,234.5
COMMA = re.compile(r"[-+]?(?:\d+,\d*|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?|\d+)")  # 1.234,5


@dataclass(frozen=True)
class TimeFormat:
    """How times are written: `iso`, `epoch seconds` (milliseconds, microseconds, nanoseconds) or strptime formats.

    formats: those that fit all values; several where a value may have a fraction, say. needs_zone: some have none.
    day_first: None where it is ambiguous which of two numbers is the day.
    """

    formats: tuple[str, ...]
    needs_zone: bool
    ambiguous: bool = False
    dates_only: bool = False


def has_value(text: str | None, words: Sequence[str] = NO_VALUE) -> bool:
    """Whether a cell holds a value, not one of the words for none."""
    return text is not None and text.strip() not in words


def time_format(values: Sequence[str], place: str) -> TimeFormat | None:
    """How these texts, none of them empty, are written as times; None where they are none.

    UserError where they are in two units, or where some have the day first and some the month.
    """
    texts = [value.strip() for value in values]
    if not texts:
        return None
    found = [ISO.fullmatch(text) for text in texts]
    if all(found):
        return TimeFormat(
            ("iso",), any(match["zone"] is None for match in found), dates_only=all(len(text) == 10 for text in texts)
        )
    if all(re.fullmatch(r"\d{5}(?:\.\d+)?", text) and FIRST_DAY <= float(text) < LAST_DAY for text in texts):
        return TimeFormat((EXCEL_DAYS,), needs_zone=True)
    epoch = _epoch(texts, place)
    if epoch:
        return TimeFormat((epoch,), needs_zone=False)
    shapes = {_shape(text) for text in texts}
    if None in shapes:
        return None
    return _ordered(sorted(shapes), texts, place)


def _epoch(texts: Sequence[str], place: str) -> str | None:
    """The unit of numbers that are seconds since 1970, or parts of them; None where they are no such numbers."""
    if not all(re.fullmatch(r"\d{10,19}(?:\.\d+)?", text) for text in texts):
        return None
    units: dict[str, str] = {}
    for text in texts:
        unit = EPOCHS.get(len(text.partition(".")[0]))
        if unit is None or not FIRST_EPOCH <= int(text[:10]) < LAST_EPOCH:
            return None
        units.setdefault(unit, text)
    if len(units) > 1:
        shown = " and ".join(f"{text} ({unit})" for unit, text in units.items())
        raise UserError(f"{place}: times in two units: {shown}; a column is in one unit")
    return next(iter(units))


def _shape(text: str) -> str | None:
    for date_pattern, date_format in DATES:
        date = re.match(date_pattern, text)
        if date is None:
            continue
        for clock_pattern, clock_format in CLOCKS:
            if re.fullmatch(date_pattern + clock_pattern, text):
                separator = "T" if clock_format and text[date.end()] == "T" else clock_format[:1]
                comma = "," if clock_format and text[date.end()] == "," else ""
                if clock_format.startswith(" ") and not re.match(r",? |T", text[date.end() :]):
                    separator = ""
                tight = clock_format[1:].replace(" %p", "%p") if re.search(r"\d[AaPp][Mm]$", text) else clock_format[1:]
                return f"{date_format}{comma}{separator}{tight}" if clock_format else date_format
    return None


def _ordered(shapes: Sequence[str], texts: Sequence[str], place: str) -> TimeFormat | None:
    """The formats with day and month in the order that the values show, if they do."""
    dates_only = not any("%H" in shape or "%I" in shape for shape in shapes)
    if not any(shape.startswith("A") for shape in shapes):
        return TimeFormat(tuple(shapes), True, dates_only=dates_only)
    first, second = {}, {}
    for text in texts:
        numbers = re.match(r"(\d{1,2})[/-](\d{1,2})[/-]\d{4}", text)
        if numbers:
            first.setdefault(int(numbers[1]) > 12, text)
            second.setdefault(int(numbers[2]) > 12, text)
    if True in first and True in second:
        raise UserError(
            f"{place}: {first[True]!r} has the day first and {second[True]!r} the month; give times of one order"
        )
    if True not in first and True not in second:
        return TimeFormat(tuple(shapes), True, ambiguous=True, dates_only=dates_only)
    order = ("%d", "%m") if True in first else ("%m", "%d")
    return TimeFormat(tuple(day_month(shape, *order) for shape in shapes), True, dates_only=dates_only)


def day_month(shape: str, first: str, second: str) -> str:
    """A shape such as `A/B/%Y %H:%M` as a strptime format with these in the place of A and B."""
    return shape.replace("A", first, 1).replace("B", second, 1) if shape.startswith("A") else shape


def decimal_mark(values: Iterable[str]) -> str | None:
    """`.` or `,` where it stands before the fractions of these numbers, `?` where it may be either, None: no number.

    `1,234` alone may be a thousand or a fraction; `0,234`, `12,5` and `1,234.5` are plain.
    """
    texts = [bare_number(value) for value in values]
    point = all(PLAIN.fullmatch(text) or POINT.fullmatch(text) for text in texts)
    comma = all(COMMA.fullmatch(text) for text in texts)
    if point and comma:
        if not any("," in text or "." in text for text in texts):
            return "."
        return OPEN
    return "." if point else "," if comma else None


def bare_number(text: str) -> str:
    """A number without money signs, blanks and per cent sign, in plain digits."""
    return re.sub(r"[\s'’%％]", "", MONEY.sub("", text.strip())).translate(str.maketrans(WIDE, NARROW))


def without_multiple(text: str) -> str:
    """The number before a sign of MULTIPLES: `1.2` of `1.2万`, which is 12,000."""
    return re.sub(MULTIPLE, "", MONEY.sub("", text.strip()).strip())


def currencies(values: Iterable[str], chinese: bool = False) -> set[str]:
    """The currencies whose signs stand beside the numbers; `?` for ¥, which is yen or yuan, unless `chinese`."""
    signs = {sign for value in values for sign in MONEY.findall(value)}
    return {OPEN if sign == "¥" and not chinese else CURRENCIES[sign] for sign in signs}


def with_counterparts(words: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """`words`, or where a file has none of them yet, those that go with the `others`: `ja` with `nein`."""
    known = {**OPPOSITES, **{no: yes for yes, no in OPPOSITES.items()}}
    return words or tuple(known[word] for word in others if word in known)


def yes_no(values: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The words among `values` for yes and those for no; None where one is neither."""
    words = sorted({value.strip() for value in values})
    yes = tuple(word for word in words if word.lower() in listed("yes"))
    no = tuple(word for word in words if word.lower() in listed("no"))
    return (yes, no) if len(yes) + len(no) == len(words) else None


def id_fault(values: Iterable[str]) -> str | None:
    """Why these are no ids any more: digits were lost by a spreadsheet; None where nothing is wrong."""
    texts = {value.strip() for value in values}
    long = [text for text in texts if re.fullmatch(rf"\d{{{LONG_ID + 1},19}}", text)]
    lost = sum(len(text) - LONG_ID for text in long)
    if len(long) > 1 and lost >= LOST_DIGITS and all(not text[LONG_ID:].strip("0") for text in long):
        return f"all ids of more than {LONG_ID} digits end in zeros, such as {min(long)!r}: a spreadsheet rounded them"
    for text in sorted(texts):
        if SCIENTIFIC.fullmatch(text):
            return f"{text!r} is an id in scientific notation, whose last digits are lost"
        if re.fullmatch(r"\d{16,}\.0+", text):
            return f"{text!r} is an id that was a floating number, whose last digits are lost"
    return None


def has_point_zero(values: Sequence[str]) -> bool:
    """Whether whole numbers among ids are written `123.0`, as pandas does where some are missing."""
    texts = [value.strip() for value in values]
    return bool(texts) and all(re.fullmatch(r"-?\d+\.0+", text) for text in texts)
