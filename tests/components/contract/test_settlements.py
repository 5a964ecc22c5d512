"""What became known after a partition was written fills nulls, and nothing else."""

import pandas as pd
import pytest
from upath import UPath

from components.contract.files.settlements import SETTLEMENT_COLUMNS
from components.contract.files.tables import read_table, write_table
from components.settings.errors import UserError
from tests.components.contract import samples


@pytest.fixture
def folder(tmp_path):
    impressions = samples.sample()["impressions"]
    write_table(impressions, UPath(tmp_path) / "impressions" / "day=2026-03-01" / "part-0.parquet")
    return UPath(tmp_path)


def open_clicks(folder):
    rows = read_table(folder, "impressions")
    return rows[rows["conversion"].isna()]


def settle(folder, rows):
    write_table(
        rows[list(SETTLEMENT_COLUMNS)], folder / "impressions" / "day=2026-03-01" / "settled-2026-04-05.parquet"
    )


def test_late_conversions_are_read_with_their_impressions(folder):
    rows = open_clicks(folder)
    assert len(rows) >= 2
    late = rows.assign(conversion=1, conversion_timestamp=rows["timestamp"] + pd.Timedelta(days=6), revenue=12.5)
    before = read_table(folder, "impressions")
    settle(folder, late)
    after = read_table(folder, "impressions")
    pd.testing.assert_frame_equal(after.drop(rows.index), before.drop(rows.index))
    pd.testing.assert_frame_equal(
        after.loc[rows.index, list(SETTLEMENT_COLUMNS)], late[list(SETTLEMENT_COLUMNS)], check_dtype=False
    )
    narrow = read_table(folder, "impressions", ["click", "conversion"])
    assert list(narrow) == ["click", "conversion"]
    assert narrow["conversion"].notna().all()


def test_a_final_conversion_is_not_overruled(folder):
    rows = read_table(folder, "impressions")
    settle(folder, rows[rows["conversion"].notna()].head(1))
    with pytest.raises(UserError, match=r"'m0' in .*settled-2026-04-05.parquet has a final conversion already"):
        read_table(folder, "impressions")


def test_a_settlement_of_nothing_or_twice_is_named(folder):
    rows = open_clicks(folder).head(1).assign(conversion=0)
    settle(folder, rows.assign(impression_id="stranger"))
    with pytest.raises(UserError, match=r"'stranger' in .* is not an impression"):
        read_table(folder, "impressions")
    settle(folder, pd.concat([rows, rows]))
    with pytest.raises(UserError, match="is repeated"):
        read_table(folder, "impressions")
