"""Sources beside database servers: SQLite, a folder of daily files, and one that a user adds in memory."""

import sqlite3
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import write_table
from components.contract.schema import TABLES
from components.contract.time_window import mask_open_conversions
from components.contract.validation.validate import load_dataset, validate
from components.datasets import pull
from components.datasets.daily_drop import drop_files
from components.datasets.source_protocol import Source, SourceFailed
from components.datasets.sources import SOURCES, source_of
from components.datasets.table_source import TableSnapshot
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import SourceConfig, ValidationConfig
from tests.components.datasets.shop import DAYS, FIRST, SAMPLE
from tests.components.datasets.topics import create_topics, send_rows

pytestmark = pytest.mark.usefixtures("equal_tables_checked_once")
LOGS = ("impressions", "events", "candidates")
CSV = ("campaigns", "creatives", "products", "shoppers")


def day_of(name: str) -> pd.Series:
    """The day of each row of a log, as text."""
    if name == "candidates":
        shown = SAMPLE["impressions"].set_index("impression_id")["timestamp"]
        return SAMPLE["candidates"]["impression_id"].map(shown).dt.strftime("%Y-%m-%d")
    return SAMPLE[name]["timestamp"].dt.strftime("%Y-%m-%d")


def drop(folder: Path, days: range = range(DAYS), form: str = "parquet", tables: dict | None = None) -> str:
    """The sample's days as a shop drops them; the folder's path."""
    tables = tables or SAMPLE
    for name in LOGS:
        for day in days:
            text = f"{FIRST + timedelta(days=day):%Y-%m-%d}"
            rows = tables[name][day_of(name) == text]
            place = {"parquet": f"{name}/{text}.parquet", "csv": f"{text}/{name}.csv"}[form]
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            if form == "parquet":
                write_table(rows, UPath(folder / place))
            else:
                as_csv(rows, folder / place)
    for name in CSV:
        as_csv(tables[name], folder / f"{name}.csv")
    write_table(tables["images"], UPath(folder / "images.parquet"))
    return str(folder)


def as_csv(rows: pd.DataFrame, path: Path) -> None:
    zoned = rows.select_dtypes("datetimetz").columns
    times = {column: rows[column].map(lambda at: "" if pd.isna(at) else at.isoformat()) for column in zoned}
    rows.assign(**times).to_csv(path, index=False)


def lite(file: Path, text=lambda at: at.isoformat()) -> str:
    """The sample in SQLite, times as text; the URL."""
    with sqlite3.connect(file) as connection:
        for name, rows in SAMPLE.items():
            zoned = rows.select_dtypes("datetimetz").columns
            shown = {column: rows[column].map(lambda at: None if pd.isna(at) else text(at)) for column in zoned}
            rows.assign(**shown).to_sql(name, connection, index=False)
    connection.close()
    return f"sqlite:///{file}"


class Memory(TableSnapshot):
    """Tables that a test holds."""

    def __init__(self, tables: dict[str, pd.DataFrame], config: SourceConfig) -> None:
        super().__init__(list(tables), config, "the memory")
        self.rows_of = tables

    def read(self, name, begin, end):
        return pa.Table.from_pandas(self.rows_of[name], preserve_index=False)


@contextmanager
def remembered(config):
    yield Memory(SAMPLE, config)


def topics(broker, tmp_path, monkeypatch) -> str:
    """The sample in topics; the URL."""
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "state"))
    create_topics(broker, tmp_path.name)
    send_rows(broker.servers, tmp_path.name)
    return f"kafka://{broker.servers}/{tmp_path.name}"


@pytest.fixture(params=["sqlite", "parquet", "csv", "kafka", "memory"])
def config(request, tmp_path, monkeypatch) -> SourceConfig:
    """The sample in a source of each kind."""
    monkeypatch.setitem(SOURCES, "memory", Source(lambda _: "memory://sample", remembered))
    url = {
        "sqlite": lambda: lite(tmp_path / "shop.db"),
        "parquet": lambda: f"file://{drop(tmp_path / 'a drop')}".replace(" ", "%20"),
        "csv": lambda: drop(tmp_path / "drop", form="csv"),
        "kafka": lambda: topics(request.getfixturevalue("broker"), tmp_path, monkeypatch),
        "memory": lambda: "memory://sample",
    }[request.param]()
    return SourceConfig(url=url, batch_rows=37)


def test_the_data_set_holds_what_the_source_did(config, tmp_path):
    done = pull("bakery", config, UPath(tmp_path / "data"))
    tables, card = load_dataset(UPath(tmp_path / "data" / "bakery"))
    last = SAMPLE["impressions"]["timestamp"].max().floor("D")
    # the drop of a day is whole when it is there; elsewhere a day is whole when the next one has begun
    last += pd.Timedelta(days=1) if source_of(config) is SOURCES["file"] else pd.Timedelta(0)
    assert pd.Timestamp(card.ends_at) == pd.Timestamp(done.ends_at) == last
    due = SAMPLE["impressions"][SAMPLE["impressions"]["timestamp"] < last]
    due = mask_open_conversions(due, last, card.conversion_window_days).reset_index(drop=True)
    assert done.impressions == len(due) and done.untimed == {}
    pd.testing.assert_frame_equal(tables["impressions"], due, check_like=True, check_dtype=False, rtol=1e-9)
    events = SAMPLE["events"][SAMPLE["events"]["timestamp"] < last].reset_index(drop=True)
    pd.testing.assert_frame_equal(tables["events"], events, check_like=True, check_dtype=False, rtol=1e-9)
    for name in ("campaigns", "creatives", "products", "images", "shoppers"):
        key = TABLES[name].key[0]
        found, wanted = (each.sort_values(key, ignore_index=True) for each in (tables[name], SAMPLE[name]))
        pd.testing.assert_frame_equal(found, wanted, check_like=True, check_dtype=False, rtol=1e-9)
    offered = SAMPLE["candidates"][SAMPLE["candidates"]["impression_id"].isin(due["impression_id"])]
    assert len(tables["candidates"]) == len(offered)
    validated = validate(tables, card, ValidationConfig())
    assert sum(len(rows) for rows in validated.quarantine.values()) == 0
    assert pull("bakery", config, UPath(tmp_path / "data")).days == 0
    assert "SHOP" not in card.source and card.source.startswith("pulled from ")


def test_nightly_drops_and_one_pull_give_the_same_bytes(tmp_path):
    """But for pictures, whose partition is the day of the pull, and the day's conversions, which come beside it."""
    for day in range(DAYS):
        url = drop(tmp_path / "drop", range(day, day + 1))
        pull("bakery", SourceConfig(url=url), UPath(tmp_path / "nightly"))
    pull("bakery", SourceConfig(url=url), UPath(tmp_path / "once"))
    nightly, once = (digest_tree(UPath(tmp_path / name / "bakery")) for name in ("nightly", "once"))
    assert {name for name in once if name.startswith("impressions/")} == {
        name for name in nightly if name.startswith("impressions/")
    }
    assert {**once, **nightly} == {**nightly, **{name: once[name] for name in once if not name.startswith("images/")}}


def test_late_rows_and_changed_rows_of_a_drop_are_taken(tmp_path):
    late = SAMPLE["impressions"][day_of("impressions") == f"{FIRST + timedelta(days=3):%Y-%m-%d}"].head(2)
    kept = SAMPLE["impressions"].drop(late.index)
    days = day_of("impressions")
    folder = tmp_path / "drop"
    drop(folder, range(DAYS))
    for text in sorted(days.unique()):
        rows = kept[days.loc[kept.index] == text]
        write_table(rows, UPath(folder / "impressions" / f"{text}.parquet"))
    following = f"{FIRST + timedelta(days=4):%Y-%m-%d}"
    for name in LOGS:  # the first night ends with day 3
        for file in (folder / name).glob("*.parquet"):
            if file.stem >= following:
                file.rename(file.with_suffix(".later"))
    first = pull("bakery", SourceConfig(url=str(folder)), UPath(tmp_path / "data"))
    for file in folder.rglob("*.later"):
        file.rename(file.with_suffix(".parquet"))
    second = [pd.read_parquet(folder / "impressions" / f"{following}.parquet"), late]
    write_table(pd.concat(second), UPath(folder / "impressions" / f"{following}.parquet"))
    done = pull("bakery", SourceConfig(url=str(folder)), UPath(tmp_path / "data"))
    assert first.days == 4 and done.late == 2
    tables, _ = load_dataset(UPath(tmp_path / "data" / "bakery"))
    assert set(tables["impressions"]["impression_id"]) == set(SAMPLE["impressions"]["impression_id"])
    assert tables["impressions"]["impression_id"].is_unique


def test_a_history_may_come_with_the_first_drop(tmp_path):
    folder = tmp_path / "drop"
    drop(folder)
    last = f"{FIRST + timedelta(days=DAYS - 1):%Y-%m-%d}"
    for name in LOGS:
        for file in (folder / name).iterdir():
            file.unlink()
        write_table(SAMPLE[name], UPath(folder / name / f"{last}.parquet"))
    done = pull("bakery", SourceConfig(url=str(folder)), UPath(tmp_path / "data"))
    assert done.days == DAYS and done.impressions == len(SAMPLE["impressions"])


@pytest.mark.parametrize(
    ("place", "table", "day"),
    [
        ("impressions/2026-03-01.csv", "impressions", "2026-03-01"),
        ("2026-03-01/impressions.parquet", "impressions", "2026-03-01"),
        ("events_2026-03-01.csv", "events", "2026-03-01"),
        ("events/day=2026-03-01/part-0.parquet", "events", "2026-03-01"),
        ("campaigns.csv", "campaigns", None),
        ("notes.csv", None, None),
        ("events/.2026-03-01.csv", None, None),
        ("events/2026-03-01.csv.tmp", None, None),
    ],
)
def test_a_path_says_table_and_day(place, table, day, tmp_path):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("")
    found = drop_files(tmp_path)
    assert list(found) == ([table] if table else [])
    if table:
        (file,) = found[table]
        assert (str(file.day) if file.day else None) == day


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("events/2026-03-01_2026-03-02.csv", "names the days 2026-03-01 and 2026-03-02; name one"),
        ("events/2026-13-01.csv", "names a day that does not exist"),
    ],
)
def test_a_path_that_is_not_clear_is_refused(place, words, tmp_path):
    drop(tmp_path / "drop", range(1))
    (tmp_path / "drop" / place).write_text("")
    with pytest.raises(UserError, match=words):
        pull("bakery", SourceConfig(url=str(tmp_path / "drop")), UPath(tmp_path / "data"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("events.csv", "event_id\n1\n", "events: no column"),
        (
            "events.csv",
            "event_id,timestamp\n1,2026-03-01 00:00:00\n",
            "events.timestamp: times without a zone in .*utc",
        ),
        (
            "events.csv",
            "event_id,timestamp\n1,yesterdayZ\n",
            "events.timestamp: 'yesterdayZ' in .*; expected times such as",
        ),
        ("images.csv", "image_id,image\n1,x\n", "images: .* is a CSV, which cannot hold images; write Parquet"),
        ("events.parquet", "no parquet", "events"),
    ],
)
def test_a_wrong_file_is_named(name, text, words, tmp_path):
    drop(tmp_path / "drop", range(1))
    for file in (tmp_path / "drop").glob("images.*"):
        file.unlink()
    for file in (tmp_path / "drop" / "events").iterdir():
        file.unlink()
    (tmp_path / "drop" / name).write_text(text)
    with pytest.raises(UserError, match=words) as told:
        pull("bakery", SourceConfig(url=str(tmp_path / "drop")), UPath(tmp_path / "data"))
    assert "\n" not in str(told.value) and not (tmp_path / "data" / "bakery").exists()


def test_a_needed_table_that_no_file_has_is_named(tmp_path):
    drop(tmp_path / "drop", range(1))
    (tmp_path / "drop" / "campaigns.csv").unlink()
    with pytest.raises(UserError, match=r"campaigns: \S+/drop has no such table"):
        pull("bakery", SourceConfig(url=str(tmp_path / "drop")), UPath(tmp_path / "data"))
    with pytest.raises(UserError, match=r"source\.url: there is no folder /nowhere"):
        pull("bakery", SourceConfig(url="file:///nowhere"), UPath(tmp_path / "data"))
    with pytest.raises(UserError, match=r"names the machine elsewhere; write a folder of this machine"):
        pull("bakery", SourceConfig(url="file://elsewhere/drop"), UPath(tmp_path / "data"))


@pytest.mark.parametrize(
    ("text", "naive"),
    [
        (lambda at: at.isoformat(), False),
        (lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), False),
        (lambda at: at.tz_convert("Asia/Kolkata").isoformat(sep=" "), False),
        (lambda at: at.tz_localize(None).isoformat(), True),
    ],
    ids=["offset", "Z", "elsewhere", "naive"],
)
def test_times_in_sqlite_may_be_written_in_any_form(text, naive, tmp_path):
    url = lite(tmp_path / "shop.db", text)
    if naive:
        with pytest.raises(UserError, match=r"impressions.timestamp: times without a zone.*naive_times: utc"):
            pull("bakery", SourceConfig(url=url), UPath(tmp_path / "data"))
    pull("bakery", SourceConfig(url=url, naive_times="utc"), UPath(tmp_path / "data"))
    tables, _ = load_dataset(UPath(tmp_path / "data" / "bakery"))
    times = tables["impressions"]["timestamp"]
    due = SAMPLE["impressions"]["timestamp"]
    assert times.tolist() == due[due < due.max().floor("D")].tolist()
    for file in (tmp_path / "data" / "bakery" / "impressions").rglob("part-0.parquet"):
        days = pd.read_parquet(file)["timestamp"].dt.strftime("day=%Y-%m-%d").unique()
        assert list(days) == [file.parent.name]


def test_sqlite_is_read_only_and_says_what_it_lacks(tmp_path):
    url = lite(tmp_path / "shop.db")
    import sqlalchemy as sa

    config = SourceConfig(url=url)
    with pytest.raises(SourceFailed, match=r"(?i)readonly"), source_of(config).snapshot(config) as rows:
        rows.connection.execute(sa.text("DELETE FROM impressions"))
    with pytest.raises(UserError, match=r"source\.url: there is no file \S+/no\.db"):
        pull("bakery", SourceConfig(url=f"sqlite:///{tmp_path}/no.db"), UPath(tmp_path / "data"))
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("UPDATE events SET timestamp = NULL WHERE rowid = 1")
    connection.execute("UPDATE events SET timestamp = 'soon' WHERE rowid = 2")
    connection.commit()
    connection.close()
    assert pull("bakery", config, UPath(tmp_path / "data")).untimed == {"events": 2}


def test_a_path_alone_is_the_sources_url_and_the_rest_stays(tmp_path):
    text = f"source: {{currency: USD}}\ndatasets: {{bakery: {{source: '{drop(tmp_path / 'drop', range(2))}'}}}}"
    (tmp_path / "params.yaml").write_text(text)
    source = load_settings(tmp_path / "params.yaml", "bakery").source
    assert pull("bakery", source, UPath(tmp_path / "data")).days == 2
    assert load_dataset(UPath(tmp_path / "data" / "bakery"))[1].currency == "USD"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("/srv/drop", "file"),
        ("./drop", "file"),
        ("file:///srv/drop", "file"),
        ("sqlite:///shop.db", "sqlite"),
        ("postgresql+psycopg://db/shop", "postgresql"),
        ("kafka://one:9092,two:9092/shop", "kafka"),
        ("${WHERE}", "sqlite"),
    ],
)
def test_the_scheme_chooses_the_source(url, kind, monkeypatch):
    monkeypatch.setenv("WHERE", "sqlite:////srv/shop.db")
    assert source_of(SourceConfig(url=url)) is SOURCES[kind]
