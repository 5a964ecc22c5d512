"""What a mapping leaves open (`?`) -> a sentence for each: the key, what the file shows, what may stand there."""

from collections.abc import Iterator, Sequence

from components.datasets.importing import value_formats
from components.datasets.importing.column_names import listed, roles
from components.datasets.importing.file_rules import rule_of
from components.datasets.importing.guessing import values_of
from components.datasets.importing.mapping import FORMS, ColumnRule, Mapping
from components.datasets.importing.staging.reading import StagedTable
from components.datasets.importing.value_formats import OPEN


def questions(mapping: Mapping, staged: Sequence[StagedTable]) -> list[str]:
    """A sentence for each key of the mapping that is open; none where a person has answered all."""
    asked: list[str] = []
    if mapping.zone in (OPEN, None):
        naive = _naive_time(mapping, staged)
        if naive:
            asked.append(f"`zone`: {naive} has no time zone; put the zone of such times, such as UTC or Europe/Berlin")
    if mapping.currency == OPEN:
        asked.append(
            "`currency`: amounts in several currencies, or with ¥, which is yen or yuan; put the one that all are in, "
            "such as EUR"
        )
    for number, rule in enumerate(mapping.files):
        tables = [table for table in staged if rule_of(mapping, table) == (number, rule)]
        where = f"files.{number}"
        if rule.table in (OPEN, None):
            asked.append(
                f"`{where}.table`: what {rule.file} holds cannot be told from its columns "
                f"({', '.join(rule.left_out)}); put one of {', '.join(roles())} and its columns, or skip"
            )
        for name, column in rule.columns.items():
            asked += _of_column(f"{where}.columns.{name}", column, tables)
    return asked


def _naive_time(mapping: Mapping, staged: Sequence[StagedTable]) -> str | None:
    """The first time without a zone, with its column and file."""
    for table in staged:
        found = rule_of(mapping, table)
        for column in found[1].columns.values() if found else ():
            formats = (column.format,) if isinstance(column.format, str) else column.format or ()
            if column.zone or not formats or all(name.startswith("epoch") for name in formats):
                continue
            values = values_of(table, column.column)
            if formats != ("iso",):
                return f"{values[0]!r} in column {column.column} of {table.place}" if values else None
            naive = next((v for v in values if (m := value_formats.ISO.fullmatch(v.strip())) and not m["zone"]), None)
            if naive:
                return f"{naive!r} in column {column.column} of {table.place}"
    return None


def _words(rule: ColumnRule) -> set[object]:
    """All that a rule says, as single values."""
    said: set[object] = set((rule.words or {}).values())
    for value in rule.model_dump().values():
        said |= set(value) if isinstance(value, tuple | list) else set() if isinstance(value, dict) else {value}
    return said


def _of_column(key: str, rule: ColumnRule, tables: Sequence[StagedTable]) -> Iterator[str]:
    if OPEN not in _words(rule):
        return
    values = [value for table in tables for value in values_of(table, rule.column)[:2000]] if rule.column else []
    place = f"column {rule.column}"
    example = repr(values[0]) if values else "nothing here"
    if rule.format == OPEN:
        found = value_formats.time_format(values, place) if values else None
        if found and found.ambiguous:
            orders = [value_formats.day_month(found.formats[0], *order) for order in (("%d", "%m"), ("%m", "%d"))]
            yield (
                f"`{key}.format`: {example} in {place} may have the day or the month first; "
                f"put '{orders[0]}' or '{orders[1]}'"
            )
        else:
            yield f"`{key}.format`: {example} in {place} is in no format that is known; put it as strptime has it"
    if rule.decimal == OPEN:
        yield (
            f"`{key}.decimal`: {example} in {place} may be a thousand or a fraction; put what stands before fractions, "
            "'.' or ','"
        )
    if rule.form == OPEN:
        yield (
            f"`{key}.form`: what the propensities in {place} are, such as {example}, cannot be told; put one of "
            f"{', '.join(FORMS)}"
        )
    if rule.yes_words and OPEN in rule.yes_words:
        known = listed("yes") | listed("no")
        odd = sorted({value for value in values if value.strip().lower() not in known})[:5]
        yield (
            f"`{key}.yes_words`: which values of {place} mean yes cannot be told, for it holds "
            f"{', '.join(map(repr, odd))}; put them there, and those for no in "
            "no_words"
        )
    if rule.empty == OPEN:
        yield f"`{key}.empty`: {place} has cells with {example} and empty ones; put 'no' if empty means no"
    unknown = [value for value, word in (rule.words or {}).items() if word == OPEN]
    if unknown:
        yield (
            f"`{key}.words`: {place} holds {', '.join(repr(value) for value in unknown[:5])}; put the contract's "
            "word for each, or null to leave such rows out"
        )
