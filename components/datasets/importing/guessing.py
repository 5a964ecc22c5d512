"""Staged files -> the mapping that their names and values suggest; what they leave open is `?` in it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from components.contract.schema import TABLES
from components.datasets.importing import propensities, value_formats
from components.datasets.importing.cell_expressions import column_of
from components.datasets.importing.column_names import (
    contract_word,
    guess_role,
    listed,
    match_columns,
    plain,
    words_of,
)
from components.datasets.importing.file_rules import merged_rules
from components.datasets.importing.mapping import ColumnRule, FileRule, Mapping
from components.datasets.importing.sql_text import sql_name, sql_text
from components.datasets.importing.staging.reading import ROW, StagedTable
from components.datasets.importing.staging.typed_files import ELEMENT
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError

LOOK = 20_000  # first rows that are looked at, and as many more from all over the file
DIGITS = re.compile(r"\d[\d_.-]*\d|\d")
FLAGS = ("click", "conversion", "consent")
MONEY = ("revenue", "cost", "price", "value", "budget", "bid")
CONSTANTS: dict[str, dict[str, str | int]] = {  # what is stated where a file has no such column
    "impressions": {"campaign": "all", "position": 1},
    "creatives": {"campaign": "all", "origin": "people"},
    "products": {"category": "unknown"},
}
CONSTANTS["views_and_clicks"] = CONSTANTS["impressions"]
MADE = {"impressions": "impression_id", "views_and_clicks": "impression_id", "events": "event_id"}


@dataclass
class Guess:
    """A mapping under way: its files, the currencies that are seen, and whether times without a zone are."""

    files: list[FileRule] = field(default_factory=list)
    currencies: set[str] = field(default_factory=set)
    naive: bool = False


def guess_mapping(staged: Sequence[StagedTable], zone: str | None, currency: str | None) -> Mapping:
    """The mapping that these files suggest. zone, currency: what the person says; None: it is seen, or asked."""
    guess = Guess()
    for table in staged:
        guess.files.append(_guess_file(table, guess, several_sheets=sum(t.file == table.file for t in staged) > 1))
    _name_policies(guess, staged)
    seen = next(iter(guess.currencies)) if len(guess.currencies) == 1 else OPEN if guess.currencies else "XXX"
    return Mapping(
        zone=zone or (OPEN if guess.naive else None),
        currency=currency or seen,
        files=tuple(merged_rules(guess.files)),
    )


def values_of(table: StagedTable, column: str, no_value: Sequence[str] = value_formats.NO_VALUE) -> list[str]:
    """Texts of a column that are none of the words for no value: of the first rows, and some from all over the file."""
    step = max(table.rows // LOOK, 1)
    name = sql_name(column)
    rows = duckdb.execute(
        f"SELECT {name} FROM read_parquet({sql_text(table.parquet)}) "
        f"WHERE {name} IS NOT NULL AND ({ROW} <= {LOOK} OR {ROW} % {step} = 0) ORDER BY {ROW}"
    ).fetchall()
    return [value for (value,) in rows if isinstance(value, bytes) or value_formats.has_value(value, no_value)]


def _guess_file(table: StagedTable, guess: Guess, several_sheets: bool) -> FileRule:
    role = guess_role(table.sheet if several_sheets and table.sheet else _stem(table.file), table.columns)
    pattern = DIGITS.sub("*", table.file.name) if DIGITS.search(_stem(table.file)) else table.file.name
    rule = FileRule(
        file=re.sub(r"\*+", "*", pattern),
        sheet=table.sheet if several_sheets else None,
        table=role or OPEN,
        slate=table.slate,
    )
    if role is None:
        return rule.model_copy(update={"left_out": table.columns})
    if role == "views_and_clicks" and not _tells_views_from_clicks(table):
        role = "impressions"
        rule = rule.model_copy(update={"table": role})
    names = match_columns(role, table.columns)
    columns = {target: _guess_column(role, target, source, table, guess) for target, source in names.items()}
    columns = {target: column for target, column in columns.items() if column is not None}
    _add_clock(columns, table, guess)
    taken = {source for column in columns.values() for source in (column.column, column.clock)}
    for source in table.columns:  # named as the contract has its open columns
        if role in TABLES and source not in taken and TABLES[role].is_open(source):
            open_column = _guess_column(role, source, source, table, guess)
            if open_column is not None:
                columns[source] = open_column
                taken.add(source)
    for target, value in CONSTANTS.get(role, {}).items():
        columns.setdefault(target, ColumnRule(value=value))
    if role in MADE and MADE[role] not in columns:
        columns[MADE[role]] = ColumnRule(made="row digest")
    _name_slate(columns, table)
    if role in ("impressions", "views_and_clicks") and "shopper_id" not in columns:
        columns["shopper_id"] = ColumnRule(made="impression_id")
    _check_twins(table, taken)
    guess.currencies |= _currencies_of(table, names)
    left_out = tuple(column for column in table.columns if column not in taken)
    return rule.model_copy(update={"columns": columns, "left_out": left_out})


def _empty_column(rule: ColumnRule, role: str, target: str) -> ColumnRule | None:
    """How a column without values is read, for later files may have some; what is written otherwise is refused then."""
    kind = column_of(role, target).kind
    if target.startswith(("context_", "feature_")):
        return None  # the contract takes no open column without a value
    if target in FLAGS:
        return rule.model_copy(update={"yes_words": ("1",), "no_words": ("0",)})
    if target == "propensity":
        return rule.model_copy(update={"decimal": ".", "form": "probability"})
    if words_of(f"{role}.{target}") is not None:
        return rule.model_copy(update={"words": {}})
    formats = {"timestamp": {"format": "iso"}, "number": {"decimal": "."}, "whole": {"decimal": "."}}
    return rule.model_copy(update=formats.get(kind, {}))


def _is_chinese(table: StagedTable) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in "".join((table.file.name, *table.columns)))


def _tells_views_from_clicks(table: StagedTable) -> bool:
    """Whether the column of kinds holds words for views or clicks."""
    kinds = set(values_of(table, match_columns("views_and_clicks", table.columns)["kind"]))
    return any(contract_word("views_and_clicks.kind", value) in ("view", "click") for value in kinds)


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in (
        ".gz",
        ".csv",
        ".tsv",
        ".txt",
        ".xlsx",
        ".parquet",
        ".jsonl",
        ".json",
        ".ndjson",
    ):
        name = Path(name).stem
    return name


def _guess_column(role: str, target: str, source: str, table: StagedTable, guess: Guess) -> ColumnRule | None:
    """How one column is read; None where it holds nothing."""
    is_id = target.endswith("_id") or target == "campaign"
    values = values_of(table, source, value_formats.NO_ID if is_id else value_formats.NO_VALUE)
    place = f"{table.place}: column {source}"
    if not values:
        if role in TABLES and not column_of(role, target).nullable and target != "propensity":
            raise UserError(f"{place} holds nothing, and {role} cannot do without {target}")
        return None if role not in TABLES else _empty_column(ColumnRule(column=source), role, target)
    rule = ColumnRule(column=source)
    words = f"{role}.{target}"
    if words_of(words) is not None:
        return rule.model_copy(
            update={"words": {value: contract_word(words, value) or OPEN for value in sorted(set(values))}}
        )
    if target in FLAGS:
        flag = _flag(rule, values, table, place, asks=target != "conversion")
        return _opposite(flag) if plain(source) in listed("opt_outs") else flag
    if target == "propensity":
        return propensities.guess_form(rule, values, source)
    column = column_of(role, target)
    if column.kind == "timestamp":
        return _time(rule, values, place, guess)
    if column.kind in ("number", "whole"):
        if target in MONEY:
            guess.currencies |= value_formats.currencies(values, chinese=_is_chinese(table))
        rule = _number(rule, values, place, whole=column.kind == "whole")
        if (
            target == "position"
            and rule.decimal
            and any(propensities.number(value, rule.decimal) == 0 for value in values)
        ):
            return rule.model_copy(update={"counted_from": 0})
        return rule
    if is_id:
        fault = value_formats.id_fault(values)
        if fault:
            raise UserError(f"{place}: {fault}; export ids as text")
        return rule.model_copy(update={"point_zero": True}) if value_formats.has_point_zero(values) else rule
    if target.startswith(("context_", "feature_")) and not any(re.match(r"\s*0\d", value) for value in values):
        mark = value_formats.decimal_mark(values)
        return rule.model_copy(update={"decimal": mark}) if mark in (".", ",") else rule
    return rule


def _time(rule: ColumnRule, values: Sequence[str], place: str, guess: Guess) -> ColumnRule:
    lost = next((value for value in values if value_formats.SCIENTIFIC.fullmatch(value.strip())), None)
    if lost is not None:
        raise UserError(f"{place}: {lost!r} is a time in scientific notation, whose last digits are lost")
    found = value_formats.time_format(values, place)
    if found is None:
        return rule.model_copy(update={"format": OPEN})
    guess.naive |= found.needs_zone
    if found.ambiguous:
        return rule.model_copy(update={"format": OPEN})
    return rule.model_copy(update={"format": found.formats[0] if len(found.formats) == 1 else found.formats})


def _number(rule: ColumnRule, values: Sequence[str], place: str, whole: bool) -> ColumnRule:
    counted = [value_formats.without_multiple(value) for value in values]
    if any(re.search(rf"\d\s*{value_formats.MULTIPLE}", value_formats.bare_number(value)) for value in values):
        rule, values = rule.model_copy(update={"multiples": True}), counted
    mark = value_formats.decimal_mark(values)
    if mark is None:
        odd = next((value for value in values if value_formats.decimal_mark([value]) is None), None)
        held = "commas and points before fractions" if odd is None else repr(odd)
        raise UserError(f"{place}: expected numbers, and it holds {held}")
    if mark == OPEN and whole:  # 1,234 is no fraction then
        mark = "." if any("," in value for value in values) else ","
    return rule.model_copy(update={"decimal": mark})


def _flag(rule: ColumnRule, values: Sequence[str], table: StagedTable, place: str, asks: bool) -> ColumnRule:
    """The words for yes and no. asks: whether empty cells are a question; a conversion may be not known yet."""
    found = value_formats.yes_no(values)
    if found is None:
        if value_formats.time_format(values[:1000], place):
            return rule.model_copy(update={"filled": True})
        shown = ", ".join(repr(value) for value in sorted(set(values))[:5])
        return rule.model_copy(update={"yes_words": (OPEN,), "no_words": tuple(shown.split(", "))})
    empty = asks and len(values) < min(table.rows, 2 * LOOK) and not found[1]
    yes, no = found
    update: dict = {"yes_words": value_formats.with_counterparts(yes, no), "no_words": no}
    if not empty:
        update["no_words"] = value_formats.with_counterparts(no, yes)
    return rule.model_copy(update={**update, "empty": OPEN} if empty else update)


def _opposite(rule: ColumnRule) -> ColumnRule:
    """The flag that is set where `rule` is not: who opted out does not consent."""
    if rule.filled or OPEN in (rule.yes_words or ()):
        return rule.model_copy(update={"filled": None, "yes_words": (OPEN,), "no_words": ()})
    return rule.model_copy(update={"yes_words": rule.no_words, "no_words": rule.yes_words})


def _check_twins(table: StagedTable, taken: Iterable[str | None]) -> None:
    """UserError where a column that is taken has a namesake: nobody can tell which of them is meant."""
    for source in taken:
        if f"{source} (2)" in table.columns:
            raise UserError(f"{table.place}: two columns are called {source}; rename one of them or leave it away")


def _currencies_of(table: StagedTable, names: dict[str, str]) -> set[str]:
    """The currencies that a column of their codes, or the header of a column of money, names."""
    heads = [source for target, source in names.items() if target in MONEY]
    found = value_formats.currencies(part for head in heads for part in re.findall(r"[(（\[]([^)）\]]+)", head))
    for source in table.columns if heads else ():
        if plain(source) in listed("currencies"):
            codes = {value.strip().upper() for value in values_of(table, source)}
            found |= codes if all(re.fullmatch("[A-Z]{3}", code) for code in codes) else set()
    return found


def _add_clock(columns: dict[str, ColumnRule], table: StagedTable, guess: Guess) -> None:
    """Takes the time of day from another column, where the time's column has days alone."""
    rule = columns.get("timestamp")
    if rule is None or rule.column is None:
        return
    taken = {column.column for column in columns.values()}
    days = value_formats.time_format(values_of(table, rule.column), f"{table.place}: column {rule.column}")
    for source in table.columns:
        if source in taken:
            continue
        values = values_of(table, source)
        texts = values if all(isinstance(value, str) for value in values) else []
        if days and days.dates_only and texts and all(value_formats.CLOCK_ONLY.fullmatch(t.strip()) for t in texts):
            columns["timestamp"] = rule.model_copy(update={"clock": source})
            return
        if days is None and texts and value_formats.time_format(texts[:1000], table.place):
            columns["timestamp"] = _time(ColumnRule(column=source), texts, f"{table.place}: column {source}", guess)
            return


def _name_slate(columns: dict[str, ColumnRule], table: StagedTable) -> None:
    """The id of a row with several creatives is that of their request; each has its own, with its position."""
    shown = columns.get("impression_id")
    if ELEMENT not in table.columns or shown is None or shown.column is None:
        return
    values = values_of(table, shown.column)
    if len(set(values)) < len(values):
        columns["request_id"] = columns.get("request_id", shown)
        columns["impression_id"] = ColumnRule(made="request_id and position")


def _name_policies(guess: Guess, staged: Sequence[StagedTable]) -> None:
    """Where a file of impressions names no logging policy: the file's name where one of them is a policy's."""
    places = [at for at, rule in enumerate(guess.files) if rule.table in ("impressions", "views_and_clicks")]
    stems = {_without_digits(_stem(staged[at].file)) + (staged[at].sheet or "") for at in places}
    named = len(stems) > 1 and any(hint in plain(stem) for stem in stems for hint in listed("policies"))
    for at in places:
        rule = guess.files[at]
        if "logging_policy" in rule.columns:
            continue
        name = (_without_digits(_stem(staged[at].file)) or "log") if named else "log"
        columns = {**rule.columns, "logging_policy": ColumnRule(value=name)}
        guess.files[at] = rule.model_copy(update={"columns": columns})


def _without_digits(stem: str) -> str:
    return re.sub(r"[-_.\s]+$|^[-_.\s]+", "", DIGITS.sub("-", stem))
