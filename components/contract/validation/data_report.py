"""What validation found, for report.json, for the pages people read, and for evaluation's trust in the log."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.settings.errors import UserError

ABSENT = {
    "candidates": "an impression's eligible creatives are its campaign's creatives active at its timestamp",
    "products": "no feature comes from products",
    "images": "no generator is trained and no feature comes from pictures",
    "events": "no feature comes from behaviour",
    "shoppers": "nobody is known to have refused consent",
}


class DataRefused(UserError):
    """A data set that breaks the contract; `report` and `results` hold what was found up to there."""

    def __init__(self, message: str, report: "DataReport", results: Mapping[str, tuple]) -> None:
        super().__init__(message)
        self.report = report
        self.results = results


@dataclass(frozen=True)
class RuleCount:
    """A broken rule: what it speaks of, its reason in words, and how many rows break it (0: the table as a whole)."""

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
    rules: int  # how many were checked
    broken: tuple[RuleCount, ...]

    @property
    def share(self) -> float:
        """Quarantined rows as a share, in [0, 1], of the rows left once duplicates are gone."""
        return self.quarantined / max(self.rows - self.duplicates, 1)


@dataclass(frozen=True)
class Unchecked:
    """A rule that could not be asked, and why."""

    table: str
    reason: str
    why: str


@dataclass(frozen=True)
class ActionCount:
    """Impressions of one creative as logged, and how many of them were quarantined: two cells of a chi-square table."""

    creative_id: str
    impressions: int
    quarantined: int


@dataclass(frozen=True)
class DataReport:
    """Everything found about one data set; `absent` maps each table that is not there to what that switches off."""

    dataset: str
    tables: tuple[TableReport, ...]
    absent: Mapping[str, str]
    unchecked: tuple[Unchecked, ...]
    actions: tuple[ActionCount, ...]

    def table(self, name: str) -> TableReport:
        """The report on table `name`; KeyError where the data set has none."""
        for table in self.tables:
            if table.table == name:
                return table
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the same for the same data: no times, no paths."""
        record = asdict(self)
        for row, table in zip(record["tables"], self.tables, strict=True):
            row["quarantined_share"] = table.share
        return record
