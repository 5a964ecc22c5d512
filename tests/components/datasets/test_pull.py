"""A shop's database becomes a data set, day by day: whole, in the contract's types, once, safe when it goes away."""

import logging
from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_table
from components.contract.schema import TABLES
from components.contract.time_window import mask_open_conversions
from components.contract.validation.validate import load_dataset, validate
from components.datasets.pull import pull
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import SourceConfig, ValidationConfig
from tests.components.contract import samples
from tests.components.datasets.servers import READER
from tests.components.datasets.shop import DAYS, FIRST, SAMPLE, Shop

pytestmark = pytest.mark.usefixtures("equal_tables_checked_once")


def until(day: int) -> pd.Timestamp:
    return pd.Timestamp(FIRST + timedelta(days=day))


def keep_until(shop: Shop, day: int) -> None:
    """The database as it was early on that day: one impression of it is there."""
    times = SAMPLE["impressions"]["timestamp"]
    last = times[times >= until(day)].min()
    for name in ("impressions", "events"):
        shop.execute(f"DELETE FROM {name} WHERE timestamp > '{last:%Y-%m-%d %H:%M:%S}'")
    shop.execute("DELETE FROM candidates WHERE impression_id NOT IN (SELECT impression_id FROM impressions)")


def restore(shop: Shop, leaving_out: tuple[str, ...] = ()) -> None:
    """The database as it is at the end, but for some impressions."""
    shop.execute("DELETE FROM candidates", "DELETE FROM impressions", "DELETE FROM events")
    for name in ("impressions", "candidates", "events"):
        rows = SAMPLE[name]
        shop.insert(name, rows[~rows["impression_id"].isin(leaving_out)] if "impression_id" in rows else rows)


def without_images(digests: dict[str, str]) -> dict[str, str]:
    """Pictures bear no time, so their partition is the day of the pull that brought them."""
    return {name: digest for name, digest in digests.items() if not name.startswith("images/")}


def test_the_data_set_holds_what_the_database_did(shop, tmp_path):
    done = pull("bakery", shop.config, UPath(tmp_path))
    tables, card = load_dataset(UPath(tmp_path / "bakery"))
    last = SAMPLE["impressions"]["timestamp"].max().floor("D")
    assert pd.Timestamp(card.ends_at) == pd.Timestamp(done.ends_at) == last
    due = SAMPLE["impressions"][SAMPLE["impressions"]["timestamp"] < last]
    due = mask_open_conversions(due, last, card.conversion_window_days).reset_index(drop=True)
    pd.testing.assert_frame_equal(tables["impressions"], due, check_like=True, check_dtype=False, rtol=1e-9)
    for name in ("campaigns", "creatives", "products", "images", "shoppers"):
        key = TABLES[name].key[0]
        found, wanted = (each.sort_values(key, ignore_index=True) for each in (tables[name], SAMPLE[name]))
        pd.testing.assert_frame_equal(found, wanted, check_like=True, check_dtype=False, rtol=1e-9)
    assert set(tables["candidates"]["impression_id"]) == set(due["impression_id"])
    validated = validate(tables, card, ValidationConfig())
    assert sum(len(rows) for rows in validated.quarantine.values()) == 0
    folders = {path.parent.name for path in (tmp_path / "bakery" / "impressions").rglob("*.parquet")}
    assert (
        folders <= {f"day={FIRST + timedelta(days=day):%Y-%m-%d}" for day in range(DAYS)} and len(folders) == DAYS - 1
    )


def test_a_column_that_may_be_null_may_be_absent_from_the_database(shop, tmp_path):
    shop.execute("ALTER TABLE impressions DROP COLUMN conversion_timestamp", "ALTER TABLE products DROP COLUMN brand")
    pull("bakery", shop.config, UPath(tmp_path))
    for table, column in (("impressions", "conversion_timestamp"), ("products", "brand")):
        assert read_table(UPath(tmp_path) / "bakery", table)[column].isna().all()


def test_nightly_pulls_and_one_pull_give_the_same_bytes_and_touch_nothing_old(shop, tmp_path):
    keep_until(shop, 8)
    first = pull("bakery", shop.config, UPath(tmp_path / "nightly"))
    assert pd.Timestamp(first.ends_at) == until(8)
    before = digest_tree(UPath(tmp_path / "nightly" / "bakery"))
    restore(shop)
    pull("bakery", shop.config, UPath(tmp_path / "nightly"))
    after = digest_tree(UPath(tmp_path / "nightly" / "bakery"))
    assert {name for name in before if after[name] != before[name]} <= {"dataset.yaml"}
    pull("bakery", shop.config, UPath(tmp_path / "once"))
    images = {name for name in after if name.startswith("images/")}
    once = digest_tree(UPath(tmp_path / "once" / "bakery"))
    assert {k: v for k, v in once.items() if not k.startswith("images/")} == {
        k: v for k, v in after.items() if k not in images
    }
    again = pull("bakery", shop.config, UPath(tmp_path / "once"))
    assert again.days == 0 and digest_tree(UPath(tmp_path / "once" / "bakery")) == once


def test_a_conversion_after_its_window_is_none_whenever_it_is_pulled(shop, tmp_path):
    """The shop counts on; a day that is pulled later on says what its own night said, in rows that came late too."""
    config = shop.config.model_copy(update={"conversion_window_days": 1})
    shown = SAMPLE["impressions"].set_index("impression_id")
    settled, late = "m5", "m71"  # clicked on the first and the fifth day
    restore(shop, leaving_out=(late,))
    keep_until(shop, 6)
    pull("bakery", config, UPath(tmp_path / "nightly"))
    restore(shop)
    for name in (settled, late):
        at = shown.loc[name, "timestamp"] + pd.Timedelta(days=1, microseconds=1)
        shop.execute(
            f"UPDATE impressions SET conversion = 1, conversion_timestamp = '{at:%Y-%m-%d %H:%M:%S.%f}', revenue = 50 "
            f"WHERE impression_id = '{name}'"
        )
    found = {}
    for name in ("nightly", "once"):
        pull("bakery", config, UPath(tmp_path / name))
        tables, card = load_dataset(UPath(tmp_path / name / "bakery"))
        found[name] = tables["impressions"]
        assert not any(len(rows) for rows in validate(tables, card, ValidationConfig()).quarantine.values())
    pd.testing.assert_frame_equal(found["nightly"], found["once"])
    rows = found["once"].set_index("impression_id")
    assert (rows.loc[[settled, late], ["conversion", "revenue"]] == 0).all().all()
    in_time = shown[(shown["conversion"] == 1) & (shown["timestamp"] < until(8))].index  # exactly one window later
    assert len(in_time) > 5 and (rows.loc[in_time, "conversion"] == 1).all()


def test_a_log_may_begin_on_a_day_without_impressions(shop, tmp_path):
    """The day is there, with its events, and the next pull goes on after it; what comes late finds its place."""
    config = shop.config.model_copy(update={"since": FIRST + timedelta(days=2)})
    shown = SAMPLE["impressions"]
    quiet = tuple(shown.loc[(shown["timestamp"] >= until(2)) & (shown["timestamp"] < until(3)), "impression_id"])
    restore(shop, leaving_out=quiet)
    keep_until(shop, 3)
    first = pull("bakery", config, UPath(tmp_path))
    assert (first.days, first.impressions, pd.Timestamp(first.ends_at)) == (1, 0, until(3))
    assert not (tmp_path / "bakery" / "impressions").exists() and (tmp_path / "bakery" / "events").exists()
    restore(shop, leaving_out=quiet[1:])
    done = pull("bakery", config, UPath(tmp_path))
    tables, card = load_dataset(UPath(tmp_path / "bakery"))
    assert (done.late, pd.Timestamp(card.ends_at)) == (1, shown["timestamp"].max().floor("D"))
    assert tables["impressions"]["impression_id"].iloc[0] == quiet[0]
    assert len(tables["impressions"]) == done.impressions + 1 and not tables["images"]["image_id"].duplicated().any()


def test_rows_from_before_since_are_not_late(shop, tmp_path):
    config = shop.config.model_copy(update={"since": FIRST + timedelta(days=2, hours=1)})
    keep_until(shop, 3)
    pull("bakery", config, UPath(tmp_path))
    restore(shop)
    assert pull("bakery", config, UPath(tmp_path)).late == 0
    tables, _ = load_dataset(UPath(tmp_path / "bakery"))
    assert min(tables[name]["timestamp"].min() for name in ("impressions", "events")) >= until(2)


def test_late_rows_enter_the_next_pull_and_a_backfill_does_without_them(shop, tmp_path):
    times = SAMPLE["impressions"]
    late = tuple(times.loc[(times["timestamp"] >= until(7)) & (times["timestamp"] < until(8)), "impression_id"].head(3))
    restore(shop, leaving_out=late)
    keep_until(shop, 8)
    pull("bakery", shop.config, UPath(tmp_path))
    then, _ = load_dataset(UPath(tmp_path / "bakery"))
    assert not set(late) & set(then["impressions"]["impression_id"])
    restore(shop)
    done = pull("bakery", shop.config, UPath(tmp_path))
    assert done.late == 3
    now, _ = load_dataset(UPath(tmp_path / "bakery"))
    assert set(late) <= set(now["impressions"]["impression_id"]) and set(late) <= set(
        now["candidates"]["impression_id"]
    )
    assert now["impressions"]["timestamp"].is_monotonic_increasing
    backfill, _ = load_dataset(UPath(tmp_path / "bakery"), until(8).to_pydatetime())
    kept = backfill["impressions"][backfill["impressions"]["timestamp"] < until(8)].reset_index(drop=True)
    assert list(kept["impression_id"]) == list(then["impressions"]["impression_id"])
    next_night, _ = load_dataset(UPath(tmp_path / "bakery"), until(9).to_pydatetime())
    assert set(late) <= set(next_night["impressions"]["impression_id"])


def test_a_database_that_goes_away_leaves_whole_days_and_the_next_pull_goes_on(shop, tmp_path):
    class Killer(logging.Handler):
        def emit(self, record):
            if "2026-03-05 is stored" in record.getMessage():
                shop.server.kill()

    logger, killer = logging.getLogger("adloom"), Killer()
    logger.addHandler(killer)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with pytest.raises(UserError) as told:
            pull("bakery", shop.config, UPath(tmp_path / "cut"))
    finally:
        logger.removeHandler(killer)
        logger.setLevel(level)
    assert "failed while 2026-03-06 was read" in str(told.value) and "the days before 2026-03-06 are stored" in str(
        told.value
    )
    assert not any(secret in str(told.value) for secret in READER)
    tables, card = load_dataset(UPath(tmp_path / "cut" / "bakery"))
    assert pd.Timestamp(card.ends_at) == until(5) and tables["impressions"]["timestamp"].max() < until(5)
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["bakery"], "nothing half-made is left"
    with pytest.raises(UserError, match="nothing has changed"):
        pull("bakery", shop.config, UPath(tmp_path / "cut"))
    shop.server.start()
    pull("bakery", shop.config, UPath(tmp_path / "cut"))
    pull("bakery", shop.config, UPath(tmp_path / "whole"))
    cut, whole = (digest_tree(UPath(tmp_path / name / "bakery")) for name in ("cut", "whole"))
    assert without_images(cut) == without_images(whole)


def test_nothing_can_be_written_to_the_database(shop):
    from components.datasets.database import DatabaseFailed, snapshot

    owner = shop.config.model_copy(update={"url": shop.server.source()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_USER", "owner")
        patch.setenv("SHOP_PASSWORD", "owner")
        with pytest.raises(DatabaseFailed, match=r"(?i)read.?only"), snapshot(owner) as database:
            database.connection.execute(sa.text("DELETE FROM impressions"))


def test_faults_of_the_database_are_named(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "guessed")
    with pytest.raises(UserError, match="nothing has changed") as told:
        pull("bakery", shop.config, UPath(tmp_path))
    assert "guessed" not in str(told.value) and READER[0] not in str(told.value)
    monkeypatch.setenv("SHOP_PASSWORD", READER[1])
    zone = "DATETIME" if shop.server.kind == "mysql" else "TIMESTAMP WITHOUT TIME ZONE"
    change = "MODIFY timestamp" if shop.server.kind == "mysql" else "ALTER COLUMN timestamp TYPE"
    shop.execute(f"ALTER TABLE events {change} {zone}")
    with pytest.raises(UserError, match=r"events.timestamp: times without a zone.*naive_times: utc"):
        pull("bakery", shop.config, UPath(tmp_path))
    shop.execute("ALTER TABLE events DROP COLUMN kind")
    with pytest.raises(UserError, match="events: the database's table has no column kind"):
        pull("bakery", shop.config, UPath(tmp_path))
    shop.execute("DROP TABLE events", "DROP TABLE campaigns")
    with pytest.raises(UserError, match="campaigns: the database has no such table"):
        pull("bakery", shop.config, UPath(tmp_path))
    assert not (tmp_path / "bakery").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:secret@db/shop", "holds a password"),
        ("postgresql://db/shop?password=secret", "holds a password"),
        ("oracle://${A}:${B}@db/shop", "oracle is not known"),
        ("not a url", "neither a database's URL"),
        ("postgresql://${NOT_SET_ANYWHERE}:${B}@db/shop", "NOT_SET_ANYWHERE is not set"),
        (None, "no source to pull from"),
    ],
)
def test_a_wrong_source_is_one_sentence(url, words, tmp_path):
    with pytest.raises(UserError, match=words) as told:
        pull("bakery", SourceConfig(url=url), UPath(tmp_path))
    assert "secret" not in str(told.value)


def test_a_shipped_or_added_data_set_is_not_pulled_over(tmp_path):
    source = SourceConfig(url="postgresql://db/shop")
    with pytest.raises(UserError, match="reserved for data sets that Adloom builds"):
        pull("marketplace", source, UPath(tmp_path))
    from components.datasets.dataset_files import write_dataset

    write_dataset(SAMPLE, samples.card(), UPath(tmp_path / "sample"))
    with pytest.raises(UserError, match="is not from postgresql://db/shop"):
        pull("sample", source, UPath(tmp_path))


def test_a_text_alone_is_the_sources_url(tmp_path):
    (tmp_path / "params.yaml").write_text("datasets: {bakery: {source: 'postgresql://db/shop'}}")
    assert load_settings(tmp_path / "params.yaml", "bakery").source == SourceConfig(url="postgresql://db/shop")
