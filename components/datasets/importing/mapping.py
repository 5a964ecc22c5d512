"""`mapping.yaml`: how the columns of a shop's files become the contract's. Written by a guess, reviewed by a person."""

import json
from collections.abc import Mapping as Dict
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from upath import UPath

from components.contract.files.tables import write_text
from components.contract.files.yaml_files import read_yaml_file
from components.contract.schema import TABLES
from components.datasets.importing.column_names import roles
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError, first_line

NAME = "mapping.yaml"
MAX_BYTES = 1_000_000
HEAD = """\
# How these files become the tables of the data set: please review it, then run the same command again. A value '?' is
# a question. docs/import.md describes the keys.
"""
Text = Annotated[str, Field(min_length=1)]
Words = tuple[str, ...]
FORMS = ("probability", "percent", "log", "log10", "log2", "inverse")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ColumnRule(_Record):
    """Where a column of the contract comes from: a column of the file, a constant, or a number made of the row.

    A file's column alone is written as its name.
    """

    column: Text | None = None
    clock: Text | None = None  # the file's column with the time of day, where `column` has the day alone
    value: str | int | float | bool | None = None  # for every row
    # an id for rows that have none; the impression of a slate is called by its request and position
    made: Literal["row digest", "impression_id", "request_id and position"] | None = None
    format: str | Words | None = None  # of times
    zone: str | None = None  # of times without one; null: that of the whole mapping
    decimal: Literal[".", ",", "?"] | None = None  # of numbers
    multiples: bool | None = None  # of numbers, such as 1.2万 and 4.5K
    form: Literal["probability", "percent", "log", "log10", "log2", "inverse", "?"] | None = None  # of propensities
    yes_words: Words | None = None  # of flags
    no_words: Words | None = None
    empty: Literal["no", "?"] | None = None  # what an empty cell of a flag means; null: it is an error
    filled: bool | None = None  # a flag: whether the cell holds anything
    counted_from: Literal[0, 1] | None = None  # a position: the number of the first place
    point_zero: bool | None = None  # ids are written 123.0
    words: dict[str, str | None] | None = None  # value in the file -> the contract's word; null: the row is left out

    @field_validator("yes_words", "no_words", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        """YAML takes 1, true and yes for other things than texts."""
        return tuple(_word(part) for part in value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one_origin(self) -> "ColumnRule":
        given = [name for name in ("column", "value", "made") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of column, value and made, not {' and '.join(given) or 'none'}")
        return self


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class Slate(_Record):
    """Several creatives on one row: lists in cells, or columns with numbers behind their names."""

    separator: str | None = None  # between the elements of the cells of `columns`
    columns: Words = ()
    numbered: Words = ()  # the names without their numbers

    @model_validator(mode="after")
    def _one_form(self) -> "Slate":
        if bool(self.separator and self.columns) == bool(self.numbered):
            raise ValueError("give either separator and columns, or numbered")
        return self


class FileRule(_Record):
    """The files that a pattern names, and what their columns are."""

    file: Text  # a file name, in which * stands for anything
    sheet: str | None = None
    table: str | None  # a table of the contract, or another kind of file; `skip`: it is left out
    encoding: str | None = None  # null: it is found
    delimiter: str | None = None
    slate: Slate | None = None
    columns: dict[str, ColumnRule] = {}
    left_out: Words = ()  # columns of the file that are not taken

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {"column": rule} if isinstance(rule, str) else rule for name, rule in value.items()}

    @model_validator(mode="after")
    def _known_columns(self) -> "FileRule":
        if self.table in (OPEN, "skip", None):
            return self
        if self.table not in roles():
            raise ValueError(f"table: {self.table!r} is not known; known are {', '.join(roles())} and skip")
        table = TABLES.get(self.table)
        for name in self.columns:
            if name not in roles()[self.table].names and not (table and (table.column(name) or table.is_open(name))):
                raise ValueError(f"columns: {self.table} has no column {name}")
        return self


class Mapping(_Record):
    """The whole mapping of a data set."""

    zone: str | None = None  # of times without one, such as UTC or Europe/Berlin
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3}|\?)$")] = "XXX"  # XXX: none is known
    licence: Text = "internal"
    conversion_window_days: Annotated[int, Field(ge=0)] = 7
    # where no propensities are logged: `uniform` over the creatives of a campaign, or the share of each creative
    randomisation: Literal["uniform"] | dict[str, float] | None = None
    files: tuple[FileRule, ...]

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return value if value in (None, OPEN) else known_zone(value)


def known_zone(name: str) -> str:
    """`name`; ValueError where it is no zone's of the tz database."""
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone such as UTC, Europe/Berlin or Asia/Shanghai")
    ZoneInfo(name)
    return name


def read_mapping(path: UPath) -> Mapping:
    """The mapping in the file at `path`; UserError naming the file, the key and the value that is wrong."""
    path = UPath(path)
    document = read_yaml_file(path, kind="mapping", max_bytes=MAX_BYTES, missing="")
    try:
        return Mapping.model_validate_json(json.dumps(document, default=_iso))
    except ValidationError as error:
        raise UserError("; ".join(_explained(path, fault) for fault in error.errors()[:5])) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {first_line(error)}") from None


def write_mapping(mapping: Mapping, path: UPath) -> None:
    """`mapping` -> the file at `path`, without keys that say nothing."""
    write_text(mapping_text(mapping), path)


def mapping_text(mapping: Mapping) -> str:
    """The text of `mapping.yaml`."""
    document = mapping.model_dump(mode="json", exclude_none=True)
    document["files"] = [_short_file(rule) for rule in document["files"]]
    return HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _short_file(rule: Dict[str, Any]) -> dict[str, Any]:
    short = {name: value for name, value in rule.items() if value not in ([], {}, ())}
    if "columns" in short:
        short["columns"] = {
            name: column["column"] if set(column) == {"column"} else column for name, column in short["columns"].items()
        }
    return {"file": short.pop("file"), "table": short.pop("table", None), **short}


def _iso(value: object) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place here")


def _explained(path: UPath, fault: Dict[str, Any]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key"
    if fault["type"] == "missing":
        return f"{path}: {key}: missing"
    text = fault["msg"].removeprefix("Value error, ")
    shown = fault["input"] if not isinstance(fault["input"], (dict, list)) else None
    return f"{path}: {key}: {text}" + ("" if shown is None else f", got {shown!r}")


def file_place(mapping_path: Path, number: int, rule: FileRule) -> str:
    """What messages call a file's part of the mapping."""
    return f"{mapping_path}: files.{number} ({rule.file})"


def rule_digest(rule: FileRule) -> str:
    """SHA-256 of what a rule says."""
    return sha256(rule.model_dump_json().encode()).hexdigest()


def head_digest(mapping: Mapping) -> str:
    """SHA-256 of what a mapping says beside its files."""
    return sha256(mapping.model_dump_json(exclude={"files"}).encode()).hexdigest()
