"""Any text -> the same text, harmless where people or programs read it: one function for each such place.

Texts come from data (ids, categories, reasons that quote rows), from users and from error messages of libraries. None
of them may start a script or a formula, move a cursor, load a picture from elsewhere or end a query's quotes.
"""

import html
import re
import unicodedata

from components.settings.errors import UserError

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # what spreadsheets take for one; full width, too
_MARKDOWN = re.compile(r"[\\`*<>|~]|\](?=[(\[:]|$)")  # a bracket alone, as of an interval, makes no link
_WORD_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word means nothing in Markdown
_LINE_START = re.compile(r"^(\s*\d*)([#+=.)-])(?=\s|$|[#=-])")
_ENTITY = re.compile(r"&(?=#?\w+;)")


class Markup(str):
    """A text that is Markdown already, of our own making: `markdown` leaves it alone."""


def terminal(text: object) -> str:
    """`text` for a terminal: no control character but the line feed, and none that turns the direction of reading.

    An escape sequence shows as `\\x1b[2J`, which clears nothing.
    """
    return "".join(_visible(letter) for letter in str(text))


def markdown(text: object) -> str:
    """`text` for one line of Markdown (a cell of a table, an item of a list), which shows it and takes no part of it
    for markup, HTML or a link."""
    if isinstance(text, Markup):
        return text
    line = " ".join(terminal(text).split("\n"))
    line = _MARKDOWN.sub(lambda found: f"\\{found.group()}", line)
    line = _WORD_EDGE.sub(r"\\_", _ENTITY.sub("&amp;", line))
    line = line.replace("\\<", "&lt;").replace("\\>", "&gt;")  # for those that pass HTML through after a backslash
    return _LINE_START.sub(lambda found: f"{found.group(1)}\\{found.group(2)}", line)


def fenced(text: object) -> str:
    """`text` as a block of Markdown that is shown as it is; a fence within it does not end the block."""
    shown = terminal(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def web(text: object) -> str:
    """`text` for HTML, within an element or a quoted attribute."""
    return html.escape(terminal(text))


def csv_cell(value: object) -> object:
    """`value` for a cell of a CSV file (the writer quotes it): a text that a spreadsheet would run begins with `'`.

    Numbers stay as they are.
    """
    if not isinstance(value, str):
        return value
    shown = terminal(value)  # a carriage return ends a row for some readers, quoted or not
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def filter_by_name(name: str) -> str:
    """MLflow's filter for what is called `name`; UserError for a name that would end its quotes."""
    if not re.fullmatch(r"[\w .-]+", name, re.ASCII):
        raise UserError(f"{name!r}: a model's name has letters, digits, spaces, dots, - and _")
    return f"name = '{name}'"


def _visible(letter: str) -> str:
    if letter == "\n" or letter.isprintable():
        return letter
    kind = unicodedata.category(letter)
    if kind in ("Zs", "Co", "Cn"):  # spaces of other widths, and letters that this Python does not know
        return letter
    if letter == "\t":
        return " "
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
