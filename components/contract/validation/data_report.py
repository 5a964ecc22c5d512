"""The report of a validation: report.json, the source of the pages for people and of evaluation's checks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.settings.errors import UserError

ABSENT_TABLES = {
    "candidates": "an impression's eligible creatives are its campaign's creatives active at its timestamp",
    "products": "there are no product features",
    "images": "no generator is trained and there are no image features",
    "events": "there are no behaviour features",
    "shoppers": "no shopper counts as having refused consent",
}


class DataRefused(UserError):
    """The data set breaks the contract. `report` and `results` cover the tables that were checked before."""

    def __init__(self, message: str, report: "DataReport", results: Mapping[str, tuple]) -> None:
        super().__init__(message)
        self.report = report
        self.results = results


@dataclass(frozen=True)
class RuleCount:
    """A broken rule: its columns, its reason in words, and the number of rows that break it (0: the whole table)."""

    columns: tuple[str, ...]
    reason: str
    severity: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class TableReport:
    """One table: rows as read, exact duplicates dropped, rows quarantined and kept, and the rules that were broken."""

    table: str
    rows: int
    duplicates: int
    quarantined: int
    kept: int
    rules: int  # number of rules checked
    broken: tuple[RuleCount, ...]

    @property
    def share(self) -> float:
        """Quarantined rows as a share, in [0, 1], of the rows without duplicates."""
        return self.quarantined / max(self.rows - self.duplicates, 1)


@dataclass(frozen=True)
class Unchecked:
    """A rule that could not be checked, and why."""

    table: str
    reason: str
    why: str


@dataclass(frozen=True)
class ActionCount:
    """Logged impressions of one creative, and the number of them in quarantine, for a chi-square test."""

    creative_id: str
    impressions: int
    quarantined: int


@dataclass(frozen=True)
class DataReport:
    """The results of validating one data set; `absent` maps each missing table to the consequence."""

    dataset: str
    tables: tuple[TableReport, ...]
    absent: Mapping[str, str]
    unchecked: tuple[Unchecked, ...]
    actions: tuple[ActionCount, ...]

    def table(self, name: str) -> TableReport:
        """The report on table `name`; KeyError if the data set lacks it."""
        for table in self.tables:
            if table.table == name:
                return table
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without times or paths, so that equal data give equal reports."""
        record = asdict(self)
        for row, table in zip(record["tables"], self.tables, strict=True):
            row["quarantined_share"] = table.share
        return record
