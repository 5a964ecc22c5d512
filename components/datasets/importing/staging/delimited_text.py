"""A CSV or TSV text -> its header and its rows of cells; what is around the table is skipped and counted.

Preambles above the header, repeated headers, total rows, blank rows and footers are no rows of the table. Anything
else that is out of shape, such as a row with too few cells, is an error that names the line.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TextIO

from components.datasets.importing.column_names import listed
from components.settings.errors import UserError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_TOTAL = 20  # characters of a cell that may be a word for a total
LOOK = 200  # rows that the delimiter and the header are found from
VALUE = re.compile(
    r"[-+]?[\d.,' ]*\d[\d.,' ]*(?:[eE][-+]?\d+)?\s*[%€$£¥]?|\d{4}[-/.年]\d.*|\d{1,2}[-/.]\d{1,2}[-/.]\d.*"
)
csv.field_size_limit(16 << 20)

Cells = Sequence[str | None]


@dataclass
class Skipped:
    """How many rows around and between the rows of a table were left away, by kind."""

    counts: Counter = field(default_factory=Counter)

    def words(self) -> tuple[str, ...]:
        """Each kind with its count, in words."""
        return tuple(f"{count:,} {kind}" for kind, count in self.counts.items() if kind != "blank rows")


@dataclass(frozen=True)
class TextTable:
    """The names of a table's columns, its rows (number in the file, cells) and what is skipped while they are read."""

    header: tuple[str, ...]
    rows: Iterator[tuple[int, Cells]]
    skipped: Skipped


def delimiter_of(text: TextIO, place: str) -> str:
    """The delimiter that cuts the first rows of `text` into equally many cells under a header."""
    sample = text.read(1 << 18).splitlines(keepends=True)[: LOOK + 1]
    lines = sample[:-1] if len(sample) > LOOK else sample
    best, score = None, (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(row)]
        except csv.Error:
            continue
        start = _header_row(rows)
        if start is None:
            continue
        width = len(rows[start])
        share = sum(len(row) == width for row in rows) / len(rows)
        if (share, width) > score:
            best, score = delimiter, (share, width)
    if best is None:
        raise UserError(
            f"{place}: no table of two columns or more under a header row is found in it "
            "(delimiters known are comma, semicolon, tab and bar)"
        )
    return best


def read_delimited(text: TextIO, delimiter: str, place: str) -> TextTable:
    """The table in `text`."""
    return find_table(_csv_rows(text, delimiter, place), place)


def find_table(rows: Iterator[tuple[int, Cells]], place: str) -> TextTable:
    """The table within rows (number, cells) of any shape: the header is the first full row of names."""
    head = list(islice(rows, LOOK))
    if not any(any(cells) for _, cells in head):
        raise UserError(f"{place}: no rows in it")
    start = _header_row([cells for _, cells in head])
    if start is None:
        raise UserError(f"{place}: no header row is found in it; the first row must hold the columns' names")
    skipped = Skipped()
    before = sum(any(cells) for _, cells in head[:start])
    if before:
        skipped.counts["rows above the header"] = before
    names = [cell or "" for cell in head[start][1]]
    while names and not names[-1].strip():
        names.pop()
    header = _distinct(names)
    return TextTable(header, _body(_chained(head[start + 1 :], rows), names, place, skipped), skipped)


def _csv_rows(text: TextIO, delimiter: str, place: str) -> Iterator[tuple[int, Cells]]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(f"{place}: line {line}: {error}") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{place}: line {line} or later holds bytes that are not {error.encoding}") from None
        yield line, row


def _chained(head: Iterable, rest: Iterator) -> Iterator:
    yield from head
    yield from rest


def _body(rows: Iterator[tuple[int, Cells]], names: list[str], place: str, skipped: Skipped) -> Iterator:
    """The rows of the table. A narrow row is an error, unless nothing but such rows follow: then it is a footer."""
    width = len(names)
    footer: tuple[int, Cells] | None = None
    for number, cells in rows:
        if not any(cells) or not any(cell and cell.strip() for cell in cells):
            skipped.counts["blank rows"] += 1
        elif _is_total(cells, width):
            skipped.counts["total rows"] += 1
        elif [cell or "" for cell in cells[:width]] == names:
            skipped.counts["repeated headers"] += 1
        elif len(cells) < width or any(cells[width:]):
            if len(cells) > width or sum(bool(cell) for cell in cells) > 1:
                _misshapen(place, number, len(cells), width)
            footer = footer or (number, cells)
            skipped.counts["rows below the table"] += 1
        else:
            if footer is not None:
                _misshapen(place, footer[0], len(footer[1]), width)
            yield number, cells[:width]


def _misshapen(place: str, line: int, cells: int, width: int) -> None:
    raise UserError(f"{place}: line {line} has {cells} cells where the header has {width}")


def _is_total(cells: Cells, width: int) -> bool:
    """Whether a row begins with a word for a total and leaves at least one other cell empty."""
    first = next((cell for cell in cells if cell), "")
    word = re.split("[:：]", first)[0]  # `Total: account`
    if len(first) > LONGEST_TOTAL or re.sub(r"[\s.]", "", word).lower() not in listed("totals"):
        return False
    return len(cells) < width or any(not cell or set(cell.strip()) <= {"-"} for cell in cells[:width])


def _width(cells: Cells) -> int:
    """The number of cells without empty ones at the end."""
    return max((place + 1 for place, cell in enumerate(cells) if cell), default=0)


def _header_row(rows: Sequence[Cells]) -> int | None:
    """The first row of names that is no narrower than nearly all rows after it; None where there is none."""
    widths = [_width(cells) for cells in rows]
    for at, cells in enumerate(rows):
        after = [width for width in widths[at + 1 :] if width]
        if _names_only(cells[: widths[at]]) and sum(width <= widths[at] for width in after) >= 0.9 * len(after):
            return at
    return None


def _names_only(cells: Cells) -> bool:
    """Whether the cells are names: texts, none a number or a time; one may be empty, as pandas leaves its index's."""
    named = [text for text in ((cell or "").strip() for cell in cells) if text]
    return len(named) >= max(len(cells) - 1, 2) and not any(VALUE.fullmatch(text) for text in named)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The names without blanks around them; an empty one is called by its place, a repeated one by its number."""
    counts: Counter = Counter()
    result = []
    for place, name in enumerate(names, start=1):
        plain = " ".join(name.split()) or f"column {place}"
        counts[plain] += 1
        result.append(plain if counts[plain] == 1 else f"{plain} ({counts[plain]})")
    return tuple(result)
