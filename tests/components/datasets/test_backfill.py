"""A past week run again gives that week's own bytes, whatever has come since: days, late rows, late conversions."""

import pandas as pd
import pytest
from upath import UPath

from components.contract.card import read_card
from components.contract.files.late_rows import late_name
from components.contract.files.tables import read_frame, read_table, write_table
from components.datasets.dataset_files import write_dataset
from components.datasets.marketplace import build_tables
from components.settings.paths import Paths
from components.settings.sections import SimulatorConfig, ValidationConfig
from components.workflow import stages
from components.workflow.advance import advance
from components.workflow.caching.manifests import read_manifest

NAME = "marketplace"
WEEK = SimulatorConfig(shoppers=60, campaigns=2, creatives_per_campaign=12, events=300, impressions=2100, days=7)


def validated(data: UPath, workdir: UPath, as_of=None) -> dict[str, str]:
    """Digests of what the stage writes."""
    paths = Paths.of(NAME, str(data / NAME), str(workdir))
    stages.validation(ValidationConfig(as_of=as_of), paths)
    return dict(read_manifest(paths.stage("validation")).outputs)


@pytest.mark.slow
def test_a_backfill_gives_the_bytes_of_that_weeks_own_run(photos, tmp_path):
    data = UPath(tmp_path / "data")
    write_dataset(*build_tables(WEEK, photos), data / NAME)
    ended = read_card(data / NAME).ends_at
    own = validated(data, UPath(tmp_path / "own"))
    advance(NAME, data, 3, None)
    arrive_late(data / NAME)
    assert validated(data, UPath(tmp_path / "again"), ended) == own
    now = UPath(tmp_path / "now")
    assert validated(data, now)["impressions.parquet"] != own["impressions.parquet"]
    rows = read_frame(now / NAME / "validation" / "impressions.parquet")
    assert {"late-0", "late-1"} <= set(rows["impression_id"]), "late rows enter the next run"
    assert rows["timestamp"].is_monotonic_increasing


def arrive_late(folder: UPath) -> None:
    """Two impressions of the second day, with their candidates, that reach the shop on the last one."""
    ends_at = read_card(folder).ends_at
    impressions, offered = read_table(folder, "impressions"), read_table(folder, "candidates")
    day = impressions["timestamp"].dt.floor("D") == impressions["timestamp"].min().floor("D") + pd.Timedelta(days=1)
    like = impressions[day & (impressions["click"] == 0)].head(2)
    ids = dict(zip(like["impression_id"], ("late-0", "late-1"), strict=True))
    copies = offered[offered["impression_id"].isin(ids)]
    at = f"day={like['timestamp'].iloc[0]:%Y-%m-%d}/{late_name(ends_at)}"
    for name, rows in {"impressions": like, "candidates": copies}.items():
        write_table(rows.assign(impression_id=rows["impression_id"].map(ids).astype("str")), folder / name / at)
