"""Tables, lists and figures of the stages' Markdown pages."""

from collections.abc import Mapping, Sequence

from components.contract.escaping import markdown


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells that are not Markup are escaped."""
    lines = ["| " + " | ".join(markdown(heading) for heading in headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(markdown(cell) for cell in row) + " |" for row in rows)])


def number(value: float | None, digits: int = 5) -> str:
    """A figure, or a dash if there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def joined(parts: Sequence[str]) -> str:
    """The non-empty parts, as paragraphs."""
    return "\n\n".join(part for part in parts if part) + "\n"


def items(lines: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {markdown(line)}" for line in lines)


def interval(record: Mapping[str, float | None] | None) -> str:
    """value [ci_low, ci_high], or a dash."""
    if record is None or record["value"] is None:
        return "-"
    return f"{number(record['value'])} [{number(record['ci_low'])}, {number(record['ci_high'])}]"
