"""Escape any text for the place where it is shown: one function each for terminals, Markdown, HTML, CSV and queries.

Texts come from data (ids, categories, reasons that quote rows), from users and from error messages of libraries. None
of them may start a script or a formula, move a cursor, load an image from elsewhere or end a query's quotes.
"""

import html
import re
import unicodedata

from components.settings.errors import UserError

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # a formula's first character in spreadsheets, full width too
_MARKDOWN = re.compile(r"[\\`*<>|~]|\](?=[(\[:]|$)")  # a bracket alone, as in an interval, makes no link
_WORD_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word has no meaning in Markdown
_LINE_START = re.compile(r"^(\s*\d*)([#+=.)-])(?=\s|$|[#=-])")
_ENTITY = re.compile(r"&(?=#?\w+;)")


class Markup(str):
    """Markdown that Adloom made: `markdown` returns it unchanged."""


def terminal(text: object) -> str:
    """`text` for a terminal: control characters except the line feed, and those of writing direction, become escapes.

    The sequence that clears a screen shows as `\\x1b[2J`.
    """
    return "".join(_visible(letter) for letter in str(text))


def markdown(text: object) -> str:
    """`text` for one line of Markdown, such as a cell or a list item, in which no part is markup, HTML or a link."""
    if isinstance(text, Markup):
        return text
    line = " ".join(terminal(text).split("\n"))
    line = _MARKDOWN.sub(lambda match: f"\\{match.group()}", line)
    line = _WORD_EDGE.sub(r"\\_", _ENTITY.sub("&amp;", line))
    line = line.replace("\\<", "&lt;").replace("\\>", "&gt;")  # some renderers read HTML after a backslash
    return _LINE_START.sub(lambda match: f"{match.group(1)}\\{match.group(2)}", line)


def fenced(text: object) -> str:
    """`text` as a fenced code block of Markdown; a fence within it does not end the block."""
    shown = terminal(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def web(text: object) -> str:
    """`text` escaped for HTML, within an element or a quoted attribute."""
    return html.escape(terminal(text))


def csv_cell(value: object) -> object:
    """`value` for a cell of a CSV file, which the writer quotes; a text that a spreadsheet would run begins with `'`.

    Numbers are not changed.
    """
    if not isinstance(value, str):
        return value
    shown = terminal(value)  # for some readers a carriage return ends a row, even within quotes
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def filter_by_name(name: str) -> str:
    """MLflow's filter for objects called `name`; UserError for a name that would end its quotes."""
    if not re.fullmatch(r"[\w .-]+", name, re.ASCII):
        raise UserError(f"{name!r}: a model's name has letters, digits, spaces, dots, - and _")
    return f"name = '{name}'"


def _visible(letter: str) -> str:
    if letter == "\n" or letter.isprintable():
        return letter
    kind = unicodedata.category(letter)
    if kind in ("Zs", "Co", "Cn"):  # spaces of other widths, and characters newer than this Python
        return letter
    if letter == "\t":
        return " "
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
