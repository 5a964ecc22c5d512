"""A data set's `dataset.yaml` <-> DatasetCard: where the data came from and until when its log speaks."""

import json
from datetime import UTC, date, datetime
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from upath import UPath

from components.contract.files.tables import write_text
from components.settings.errors import UserError
from components.settings.file_names import dataset_fault
from components.settings.sections import SimulatorConfig

NAME = "dataset.yaml"
MAX_BYTES = 100_000

Text = Annotated[str, Field(min_length=1)]
TableName = Literal["campaigns", "creatives", "impressions", "candidates", "products", "images", "events", "shoppers"]


def _named(name: str) -> str:
    fault = dataset_fault(name)
    if fault:
        raise ValueError(fault)
    return name


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines that name each other would become more text than a machine holds."""

    def compose_node(self, parent, index):
        """The next node; ComposerError for an alias."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) have no place here", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


class DatasetCard(BaseModel):
    """What is known about a data set beside its tables; which of them were observed and which simulated."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True)

    name: Annotated[str, AfterValidator(_named)]  # prefixes models, experiments, folders
    source: Text
    licence: Text
    real: tuple[TableName, ...]
    simulated: tuple[TableName, ...]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]  # ISO 4217
    conversion_window_days: Annotated[int, Field(ge=0)]
    ends_at: AwareDatetime  # nothing in the log is later
    # the settings that built a simulated data set; `world` in cards of release 0.1
    simulator: SimulatorConfig | None = Field(None, validation_alias=AliasChoices("simulator", "world"))

    @field_validator("ends_at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _real_or_simulated(self) -> "DatasetCard":
        both = sorted(set(self.real) & set(self.simulated))
        if both:
            raise ValueError(f"{', '.join(both)}: listed as real and as simulated")
        return self

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that the data set says it has."""
        return self.real + self.simulated


def read_card(folder: UPath) -> DatasetCard:
    """The card of the data set in `folder`; UserError naming the file, the field and what is wrong with it."""
    path = UPath(folder) / NAME
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes; a card has at most {MAX_BYTES:,}")
        document = yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; every data set has one") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # YAML takes 2026-13-45 for a date, and fails on it
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: must be a mapping of fields, not {type(document).__name__}")
    try:
        # JSON is the form in which strict validation knows lists as tuples and ISO texts as times.
        return DatasetCard.model_validate_json(json.dumps(document, default=_iso))
    except ValidationError as error:
        raise UserError("; ".join(_explain(path, fault) for fault in error.errors())) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {str(error)[:300]}") from None


def write_card(card: DatasetCard, folder: UPath) -> None:
    """`card` -> `dataset.yaml` in `folder`, fields in the order of the class."""
    document = card.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    write_text(text, UPath(folder) / NAME)


def _iso(value: object) -> str:
    if isinstance(value, date):  # a datetime is a date, too
        return value.isoformat()
    raise TypeError(f"{value!r} has no place here")


def _explain(path: UPath, fault: dict) -> str:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{path}: {field}: missing"
    if fault["type"] == "extra_forbidden":
        return f"{path}: {field}: unknown field; known here: {', '.join(DatasetCard.model_fields)}"
    if not field:
        return f"{path}: {fault['msg'].removeprefix('Value error, ')}"
    return f"{path}: {field}: {fault['msg'].removeprefix('Value error, ')}, got {fault['input']!r}"
