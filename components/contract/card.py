"""Read and write the card of a data set, `dataset.yaml`: its source, licence, tables and the end of its log."""

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
from components.contract.files.yaml_files import read_yaml_file
from components.settings.errors import UserError
from components.settings.file_names import dataset_fault
from components.settings.sections import SimulatorConfig

CARD_FILE = "dataset.yaml"
MAX_CARD_BYTES = 100_000

Text = Annotated[str, Field(min_length=1)]
TableName = Literal["campaigns", "creatives", "impressions", "candidates", "products", "images", "events", "shoppers"]


def _valid_name(name: str) -> str:
    fault = dataset_fault(name)
    if fault:
        raise ValueError(fault)
    return name


class DatasetCard(BaseModel):
    """The fields of `dataset.yaml`. `real` and `simulated` list the tables that were observed and simulated."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True)

    name: Annotated[str, AfterValidator(_valid_name)]  # part of the names of models, experiments and folders
    source: Text
    licence: Text
    real: tuple[TableName, ...]
    simulated: tuple[TableName, ...]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]  # ISO 4217
    conversion_window_days: Annotated[int, Field(ge=0)]
    ends_at: AwareDatetime  # end of the log
    # settings of the simulator that built the data set; `world` in cards of release 0.1
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
        """The tables that the card lists."""
        return self.real + self.simulated


def read_card(folder: UPath) -> DatasetCard:
    """The card of the data set in `folder`; UserError names the file, the field and what is wrong with it."""
    path = UPath(folder) / CARD_FILE
    document = read_yaml_file(path, kind="card", max_bytes=MAX_CARD_BYTES, missing="; every data set has one")
    try:
        # From JSON, strict validation accepts lists as tuples and ISO texts as times.
        return DatasetCard.model_validate_json(json.dumps(document, default=_iso))
    except ValidationError as error:
        raise UserError("; ".join(_explain(path, fault) for fault in error.errors())) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {str(error)[:300]}") from None


def write_card(card: DatasetCard, folder: UPath) -> None:
    """Write `card` as `dataset.yaml` in `folder`, with its fields in the order of the class."""
    document = card.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    write_text(text, UPath(folder) / CARD_FILE)


def _iso(value: object) -> str:
    if isinstance(value, date):  # includes datetime
        return value.isoformat()
    raise TypeError(f"{value!r} is not allowed here")


def _explain(path: UPath, fault: dict) -> str:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{path}: {field}: missing"
    if fault["type"] == "extra_forbidden":
        return f"{path}: {field}: unknown field; known here: {', '.join(DatasetCard.model_fields)}"
    if not field:
        return f"{path}: {fault['msg'].removeprefix('Value error, ')}"
    return f"{path}: {field}: {fault['msg'].removeprefix('Value error, ')}, got {fault['input']!r}"
