"""A column of the contract as one SQL expression on the texts of a file: null where a text is no value of its kind."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence

from components.contract.schema import TABLES, Column, Kind
from components.datasets.importing import propensities, value_formats
from components.datasets.importing.mapping import ColumnRule, Mapping
from components.datasets.importing.sql_text import sql_name, sql_text

SQL_TYPE: Dict[Kind, str] = {
    "text": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
    "number": "DOUBLE",
    "whole": "BIGINT",
    "flag": "BOOLEAN",
    "bytes": "BLOB",
}
ZONE = r"(?:Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
EPOCH_MICROSECONDS = {"seconds": "1000000", "milliseconds": "1000", "microseconds": "1", "nanoseconds": "0.001"}
BLANKS = "[\\s\u00a0\u202f’'%％]"


def column_of(role: str, target: str) -> Column:
    """The contract's column that `target` of a kind of file is read as."""
    kinds = {"day": "timestamp", "impressions": "whole", "clicks": "whole", "keep_probability": "number"}
    if role not in TABLES and target in kinds:
        return Column(target, kinds[target], nullable=True)
    home = role if role in TABLES else "creatives" if role == "report" else "impressions"
    declared = TABLES[home].column(target)
    if declared is None and target == "context_local_hour":
        return Column(target, "number", nullable=True)
    return declared or Column(target, nullable=True)


def expression(role: str, name: str, rule: ColumnRule, mapping: Mapping) -> str:
    """The SQL of column `name` of a kind of file, on the columns of the staged table."""
    column = column_of(role, name)
    kind = "whole" if name in ("click", "conversion") else column.kind
    if rule.made:
        return "NULL"
    if rule.value is not None:
        return f"CAST({sql_text(str(rule.value))} AS {SQL_TYPE[kind]})"
    cell = sql_name(rule.column)
    if kind == "bytes":
        return cell
    if rule.clock:
        cell = f"trim({cell}) || ' ' || trim({sql_name(rule.clock)})"
    if kind == "flag" or name in ("click", "conversion"):
        return _flag(cell, rule, kind)
    if rule.words is not None:
        return _words(cell, rule.words)
    if kind == "timestamp":
        return _time(present_value(cell), rule, mapping.zone)
    if kind in ("number", "whole"):
        read = _number(present_value(cell), rule, kind)
        return _place(read, rule) if name == "position" else read
    if name.endswith("_id") or name == "campaign" or column.references:
        return _id(present_value(cell, value_formats.NO_ID), rule)
    if rule.decimal:  # an open column of numbers
        return _number(present_value(cell), rule, "number")
    trimmed = f"trim({cell})"
    kept = trimmed if name.startswith(("context_", "feature_")) else cell
    return f"(CASE WHEN {trimmed} IN ('', '\\N', 'NULL', 'null', 'NaN', 'nan') THEN NULL ELSE {kept} END)"


def present_value(cell: str, no_value: Sequence[str] = value_formats.NO_VALUE) -> str:
    """The cell without blanks around it; null where it holds a word for no value."""
    words = ", ".join(map(sql_text, no_value))
    return f"(CASE WHEN trim({cell}) IN ({words}) THEN NULL ELSE trim({cell}) END)"


def _id(value: str, rule: ColumnRule) -> str:
    lost = r"[-+]?\d(?:[.,]\d+)?[eE]\+\d+|\d{16,}\.0+"
    whole = f"regexp_replace({value}, '\\.0+$', '')" if rule.point_zero else value
    return f"(CASE WHEN regexp_full_match({value}, {sql_text(lost)}) THEN NULL ELSE {whole} END)"


def _number(value: str, rule: ColumnRule, kind: Kind) -> str:
    without_sign = f"regexp_replace({value}, {sql_text(value_formats.MONEY.pattern)}, '', 'g')"
    together = f"regexp_replace({without_sign}, {sql_text(BLANKS)}, '', 'g')"
    blank = f"regexp_replace({together}, {sql_text(value_formats.MULTIPLE)}, '')" if rule.multiples else together
    bare = f"translate({blank}, {sql_text(value_formats.WIDE)}, {sql_text(value_formats.NARROW)})"
    comma = rule.decimal == ","
    grouped = value_formats.COMMA.pattern if comma else value_formats.POINT.pattern
    digits = f"replace(replace({bare}, '.', ''), ',', '.')" if comma else f"replace({bare}, ',', '')"
    plain = "NULL" if comma else f"TRY_CAST({bare} AS DOUBLE)"
    number = (
        f"(CASE WHEN regexp_full_match({bare}, {sql_text(_re2(grouped))}) THEN TRY_CAST({digits} AS DOUBLE) "
        f"WHEN regexp_full_match({bare}, {sql_text(_re2(value_formats.PLAIN.pattern))}) THEN {plain} END)"
    )
    if rule.multiples:
        factors = " ".join(f"WHEN {sql_text(sign)} THEN {factor}" for sign, factor in value_formats.MULTIPLES.items())
        number = f"round({number} * (CASE right({together}, 1) {factors} ELSE 1 END), 6)"
    if kind == "whole":
        return f"(CASE WHEN {number} = floor({number}) THEN CAST({number} AS BIGINT) END)"
    return propensities.SQL[rule.form].format(number) if rule.form else number


def _place(number: str, rule: ColumnRule) -> str:
    """A position from 1; null below it."""
    place = f"({number} + 1)" if rule.counted_from == 0 else number
    return f"(CASE WHEN {place} >= 1 THEN {place} END)"


def _re2(pattern: str) -> str:
    return pattern.replace("(?:", "(")


def _flag(cell: str, rule: ColumnRule, kind: Kind) -> str:
    yes, no = ("true", "false") if kind == "flag" else ("1", "0")
    value = present_value(cell)
    if rule.filled:
        none = f"regexp_full_match({value}, {sql_text(_re2(value_formats.NO_TIME.pattern))})"
        return f"(CASE WHEN {value} IS NULL OR {none} THEN {no} ELSE {yes} END)"
    words = [", ".join(sql_text(word) for word in given or ()) or "''" for given in (rule.yes_words, rule.no_words)]
    empty = f"WHEN {value} IS NULL THEN {no} " if rule.empty == "no" else ""
    return f"(CASE {empty}WHEN trim({cell}) IN ({words[0]}) THEN {yes} WHEN trim({cell}) IN ({words[1]}) THEN {no} END)"


def _words(cell: str, words: Dict[str, str | None]) -> str:
    cases = " ".join(f"WHEN {sql_text(value)} THEN {sql_text(word or '')}" for value, word in words.items())
    return f"(CASE trim({cell}) {cases} END)" if cases else "NULL"


def _time(value: str, rule: ColumnRule, zone: str | None) -> str:
    formats = (rule.format,) if isinstance(rule.format, str) else rule.format or ("iso",)
    local = sql_text(rule.zone or zone or "UTC")
    parts = [_time_of_format(value, name, local) for name in formats]
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _time_of_format(value: str, name: str, local: str) -> str:
    if name.startswith("epoch "):
        factor = EPOCH_MICROSECONDS[name.removeprefix("epoch ")]
        micros = f"CAST(TRY_CAST({value} AS DECIMAL(38, 9)) * {factor} AS BIGINT)"
        moment = f"to_timestamp(0) + to_microseconds({micros})"
        first, last = value_formats.FIRST_EPOCH, value_formats.LAST_EPOCH
        return f"(CASE WHEN {micros} BETWEEN {first}000000 AND {last}000000 THEN {moment} END)"
    if name == value_formats.EXCEL_DAYS:
        milliseconds = f"CAST(round(TRY_CAST({value} AS DOUBLE) * 86400000) AS BIGINT)"
        return _in_zone(f"(TIMESTAMP '1899-12-30' + to_milliseconds({milliseconds}))", local)
    if name == "iso":
        dotted = f"replace({value}, ',', '.')"
        zoned = f"TRY_CAST({dotted} AS TIMESTAMPTZ)"
        naive = _in_zone(f"TRY_CAST({dotted} AS TIMESTAMP)", local)
        shape = sql_text(
            r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?)?\s*(Z|z|UTC|GMT|[+-]\d{2}(:?\d{2})?)?"
        )
        has_zone = f"(length({value}) > 10 AND regexp_matches({value}, {sql_text(ZONE)}))"
        wrong = f"NOT regexp_full_match({value}, {shape})"
        return f"(CASE WHEN {wrong} THEN NULL WHEN {has_zone} THEN {zoned} ELSE {naive} END)"
    return _in_zone(f"TRY_STRPTIME({value}, {sql_text(name)})", local)


def _in_zone(naive: str, local: str) -> str:
    """The moment of a clock's time in a zone; null where clocks skip it."""
    return f"(CASE WHEN timezone({local}, timezone({local}, {naive})) = {naive} THEN timezone({local}, {naive}) END)"
