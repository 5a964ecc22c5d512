import csv
import io
from pathlib import Path

import pytest
from upath import UPath

from components.datasets.importing.import_command import Imported, import_files

HEADER = ("impression_id", "time", "user_id", "creative_id", "campaign", "position", "propensity", "clicked")
TIME = "2026-03-{:02d}T{:02d}:00:00Z"


def impressions(days: range = range(1, 4), per_day: int = 8) -> list[tuple]:
    """Rows of a small log: two creatives of one campaign, shown with probability 1/2."""
    return [
        (f"{day:02d}-{n:03d}", TIME.format(day, n % 24), f"u{n % 3}", f"b{n % 2}", "spring", 1, "0.5", n % 4 // 3)
        for day in days
        for n in range(per_day)
    ]


def as_csv(rows: list, header=HEADER, delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


class Desk:
    """A folder with files to import, and data/ beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = UPath(folder / "data")

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def bring(self, *paths: Path, **options) -> Imported:
        return import_files("shop", paths, self.data, **options)

    @property
    def shop(self) -> Path:
        return self.folder / "data" / "shop"


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "state"))
    return Desk(tmp_path)
