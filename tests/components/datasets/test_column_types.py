"""A shop's tables have the types that shops use: ids of any kind, days, infinite times, rows without a time."""

from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlalchemy.dialects import postgresql
from upath import UPath

from components import cli
from components.contract.files.tables import read_table
from components.contract.validation.validate import load_dataset, validate
from components.datasets.database import DatabaseFailed, snapshot
from components.datasets.pull import pull
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig
from tests.components.datasets.servers import READER, Server
from tests.components.datasets.shop import DAYS, FIRST, SAMPLE, Shop

pytestmark = pytest.mark.usefixtures("equal_tables_checked_once")
PG = postgresql.dialect()
IDS = {  # of each kind of id the columns that hold it
    "impression_id": ("impressions", "candidates"),
    "event_id": ("events",),
    "image_id": ("images", "creatives", "products"),
}
DIGITS = "(('x' || substr(md5({0}), 1, 8))::bit(32)::bigint + 12345678900000000000)"
POSTGRESQL_IDS = {
    "uuid": "uuid USING md5({0})::uuid",
    "numeric": f"numeric(20,0) USING {DIGITS}",
    "bigint": "bigint USING ('x' || substr(md5({0}), 1, 8))::bit(32)::bigint",
    "char": "char(40)",
    "citext": "citext",
    "enum": "{1}_value USING {0}::text::{1}_value",
    "domain": "shop_id USING md5({0})::uuid",
}
MYSQL_IDS = {
    "bigint": "BIGINT NOT NULL",
    "decimal": "DECIMAL(20, 0) NOT NULL",
    "char": "CHAR(40)",
    "uuid": "UUID",
    "enum": "ENUM({values})",
}


MYSQL_DIGITS = {
    "uuid": "CONCAT_WS('-', LEFT(MD5({0}), 8), MID(MD5({0}), 9, 4), '4000', '8000', RIGHT(MD5({0}), 12))",
    "bigint": "CRC32({0})",
    "decimal": "CRC32({0}) + 12345678900000000000",
}


def until(day: int) -> pd.Timestamp:
    return pd.Timestamp(FIRST + timedelta(days=day))


def retype(shop: Shop, kind: str) -> None:
    """All ids of impressions, events and pictures as `kind`; rows go on pointing to the same rows."""
    if shop.server.kind == "postgresql":
        shop.execute("CREATE DOMAIN shop_id AS uuid", "CREATE EXTENSION citext")
        for column, tables in IDS.items():
            if kind == "enum":
                values = ", ".join(f"'{each}'" for each in SAMPLE[tables[0]][column])
                shop.execute(f"CREATE TYPE {column}_value AS ENUM ({values})")
            changed = POSTGRESQL_IDS[kind].format(column, column)
            shop.execute(*(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {changed}" for table in tables))
        return
    for column, tables in IDS.items():
        values = ", ".join(f"'{each}'" for each in SAMPLE[tables[0]][column])
        for table in tables:
            if kind in MYSQL_DIGITS:
                shop.execute(
                    f"UPDATE {table} SET {column} = {MYSQL_DIGITS[kind].format(column)} WHERE {column} IS NOT NULL"
                )
            null = " NULL" if table in ("creatives", "products") else ""
            changed = MYSQL_IDS[kind].format(values=values).replace(" NOT NULL", null or " NOT NULL")
            shop.execute(f"ALTER TABLE {table} MODIFY {column} {changed}")


def hold_back(shop: Shop, table: str, condition: str) -> None:
    shop.execute(
        f"DROP TABLE IF EXISTS held_{table}",
        f"CREATE TABLE held_{table} AS SELECT * FROM {table} WHERE {condition}",
        f"DELETE FROM {table} WHERE {condition}",
    )


def bring_back(shop: Shop, *tables: str) -> None:
    for table in tables:
        shop.execute(f"INSERT INTO {table} SELECT * FROM held_{table}", f"DROP TABLE held_{table}")


def itself(server: Server) -> None:
    """The foreign server `itself`: the same database over the network."""
    with server.connect("shop") as administrator:
        address = f"host '127.0.0.1', port '{server.port}', dbname 'shop'"
        administrator.execute("CREATE EXTENSION postgres_fdw")
        administrator.execute(f"CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({address})")
        administrator.execute("GRANT USAGE ON FOREIGN SERVER itself TO owner")
        for role in ("owner", "reader"):
            asks = "OPTIONS (user 'owner', password 'owner')"
            administrator.execute(f"CREATE USER MAPPING FOR {role} SERVER itself {asks}")


def quarantined(folder) -> int:
    tables, card = load_dataset(UPath(folder) / "bakery")
    return sum(len(rows) for rows in validate(tables, card, ValidationConfig()).quarantine.values())


def pulls_everything_once(shop: Shop, folder) -> None:
    """Two pulls: a picture, a row and what became of clicks are fetched by id, by the second one."""
    config = shop.config.model_copy(update={"conversion_window_days": 1})
    times = SAMPLE["impressions"]["timestamp"]
    late = times[times >= until(7)].min()
    hold_back(shop, "impressions", f"timestamp >= '{until(9):%Y-%m-%d}' OR timestamp = '{late:%Y-%m-%d %H:%M:%S.%f}'")
    with shop.begin() as connection:
        text = connection.execute(sa.text("SELECT MIN(CAST(image_id AS CHAR(60))) FROM images")).scalar()
    hold_back(shop, "images", f"CAST(image_id AS CHAR(60)) = '{text}'")
    assert pd.Timestamp(pull("bakery", config, UPath(folder)).ends_at) == until(8)
    bring_back(shop, "impressions", "images")
    done = pull("bakery", config, UPath(folder))
    assert pd.Timestamp(done.ends_at) == until(DAYS - 1) and done.late == 1 and done.settled > 0 and not done.untimed
    for name, key in (("impressions", "impression_id"), ("events", "event_id"), ("images", "image_id")):
        ids = read_table(UPath(folder) / "bakery", name)[key]
        due = SAMPLE[name] if name == "images" else SAMPLE[name][SAMPLE[name]["timestamp"] < until(DAYS - 1)]
        assert len(ids) == len(due) == ids.nunique() and not ids.str.endswith(" ").any()
    assert quarantined(folder) == 0


@pytest.mark.parametrize("kind", sorted({*POSTGRESQL_IDS, *MYSQL_IDS}))
def test_ids_of_any_type_are_found_again(shop, tmp_path, kind):
    if kind not in (POSTGRESQL_IDS if shop.server.kind == "postgresql" else MYSQL_IDS):
        pytest.skip(f"{shop.server.kind} has no type {kind}")
    retype(shop, kind)
    pulls_everything_once(shop, tmp_path)


@pytest.mark.parametrize("kind", ["bigint", "char", "enum"])
def test_candidates_may_have_their_ids_in_another_type(shop, tmp_path, kind):
    retype(shop, kind)
    if shop.server.kind == "postgresql":
        shop.execute("ALTER TABLE candidates ALTER COLUMN impression_id TYPE text")
    else:
        shop.execute("ALTER TABLE candidates MODIFY impression_id VARCHAR(20)")
    pulls_everything_once(shop, tmp_path)


def test_views_of_every_kind_are_read(shop, tmp_path):
    shop.execute("ALTER TABLE products RENAME TO products_held", "CREATE VIEW products AS SELECT * FROM products_held")
    if shop.server.kind == "postgresql":
        itself(shop.server)
        columns = ", ".join(f"{each.name} {each.type.compile(PG)}" for each in shop.tables["creatives"].columns)
        shop.execute(
            "ALTER TABLE shoppers RENAME TO shoppers_held",
            "CREATE MATERIALIZED VIEW shoppers AS SELECT * FROM shoppers_held",
            "ALTER TABLE creatives RENAME TO creatives_held",
            f"CREATE FOREIGN TABLE creatives ({columns}) SERVER itself OPTIONS (table_name 'creatives_held')",
        )
    pull("bakery", shop.config, UPath(tmp_path))
    for name in ("products", "shoppers", "creatives"):
        assert len(read_table(UPath(tmp_path) / "bakery", name)) == len(SAMPLE[name])
    assert quarantined(tmp_path) == 0


@pytest.mark.parametrize("kind", ["DATE", "naive"])
def test_days_and_naive_times_are_utc_where_the_settings_say_so(shop, tmp_path, kind, caplog):
    naive = {"mysql": "DATETIME(6)", "postgresql": "TIMESTAMP WITHOUT TIME ZONE"}[shop.server.kind]
    change = "MODIFY timestamp" if shop.server.kind == "mysql" else "ALTER COLUMN timestamp TYPE"
    tables = ("events", "impressions")
    if kind == "DATE":
        shop.execute("UPDATE impressions SET conversion_timestamp = NULL, conversion = NULL, revenue = NULL")
    shop.execute(*(f"ALTER TABLE {table} {change} {'DATE' if kind == 'DATE' else naive}" for table in tables))
    held = "days without a clock time and a zone" if kind == "DATE" else "times without a zone"
    with pytest.raises(UserError, match=rf"impressions.timestamp: {held} in the database; `naive_times: utc`"):
        pull("bakery", shop.config, UPath(tmp_path))
    pull("bakery", shop.config.model_copy(update={"naive_times": "utc"}), UPath(tmp_path))
    for table in tables:
        times = SAMPLE[table].loc[SAMPLE[table]["timestamp"] < until(DAYS - 1), "timestamp"]
        due = times.dt.floor("D") if kind == "DATE" else times
        found = read_table(UPath(tmp_path) / "bakery", table)["timestamp"]
        assert sorted(found) == sorted(due)
        said = f"{table}.timestamp: days without a clock time, read as midnight UTC"
        assert (said in caplog.text) == (kind == "DATE")


def test_epoch_numbers_are_no_times(shop, tmp_path):
    config = shop.config.model_copy(update={"naive_times": "utc"})
    if shop.server.kind == "mysql":
        shop.execute("ALTER TABLE events DROP COLUMN timestamp", "ALTER TABLE events ADD timestamp BIGINT")
    else:
        shop.execute("ALTER TABLE events ALTER COLUMN timestamp TYPE bigint USING extract(epoch from timestamp)")
    with pytest.raises(UserError, match=r"events.timestamp: BIGINT in the database; expected a time. Read from a view"):
        pull("bakery", config, UPath(tmp_path))
    assert not (tmp_path / "bakery").exists()


def test_rows_without_a_time_are_counted_and_left_out(shop, tmp_path, monkeypatch):
    for table, column in (("impressions", "impression_id"), ("events", "event_id")):
        if shop.server.kind == "mysql":
            shop.execute(f"ALTER TABLE {table} MODIFY timestamp TIMESTAMP(6) NULL")
        else:
            shop.execute(f"ALTER TABLE {table} ALTER COLUMN timestamp DROP NOT NULL")
        ids = ", ".join(f"'{each}'" for each in SAMPLE[table][column].head(3))
        shop.execute(f"UPDATE {table} SET timestamp = NULL WHERE {column} IN ({ids})")
    if shop.server.kind == "postgresql":
        last = SAMPLE["events"]["event_id"].iloc[3]
        shop.execute(f"UPDATE events SET timestamp = 'infinity' WHERE event_id = '{last}'")
    events = 4 if shop.server.kind == "postgresql" else 3
    assert pull("bakery", shop.config, UPath(tmp_path)).untimed == {"impressions": 3, "events": events}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(f"datasets: {{bakery: {{source: '{shop.config.url}'}}}}")
    cli._collect()
    said = CliRunner().invoke(cli.adloom, ["data", "pull", "bakery"], catch_exceptions=False).output
    assert "bakery: 3 rows of impressions have no time, or an infinite one, and are left out" in said


def test_infinite_times_bound_a_span_and_are_refused_elsewhere(shop, tmp_path):
    if shop.server.kind == "mysql":
        pytest.skip("MySQL has no infinite times")
    shop.execute(
        "UPDATE campaigns SET starts_at = '-infinity', ends_at = 'infinity'",
        "UPDATE creatives SET active_from = '-infinity', active_until = 'infinity'",
    )
    pull("bakery", shop.config, UPath(tmp_path / "spans"))
    assert quarantined(tmp_path / "spans") == 0
    campaigns = read_table(UPath(tmp_path) / "spans" / "bakery", "campaigns")
    assert (campaigns["ends_at"].dt.year == 9999).all() and (campaigns["starts_at"].dt.year == 1).all()
    shop.execute("UPDATE impressions SET conversion_timestamp = 'infinity' WHERE conversion = 1")
    with pytest.raises(UserError, match=r"impressions.conversion_timestamp: infinity in the database; expected times"):
        pull("bakery", shop.config, UPath(tmp_path / "moments"))


def test_mysqls_zero_dates_and_bits(shop, tmp_path):
    """MySQL's '0000-00-00' is no time; its BIT(1) is a flag."""
    if shop.server.kind == "postgresql":
        pytest.skip("PostgreSQL has neither zero dates nor numeric bits")
    zero = SAMPLE["events"]["event_id"].iloc[0]
    shop.execute(
        "SET SESSION sql_mode = ''",
        "ALTER TABLE events MODIFY timestamp DATETIME(6)",
        f"UPDATE events SET timestamp = 0 WHERE event_id = '{zero}'",
        "ALTER TABLE impressions MODIFY click BIT(1)",
        "ALTER TABLE shoppers MODIFY consent BIT(1)",
    )
    done = pull("bakery", shop.config.model_copy(update={"naive_times": "utc"}), UPath(tmp_path))
    assert done.untimed == {"events": 1}
    shown = read_table(UPath(tmp_path) / "bakery", "impressions").set_index("impression_id")["click"]
    assert (shown == SAMPLE["impressions"].set_index("impression_id")["click"].loc[shown.index]).all()
    shop.execute("UPDATE campaigns SET budget = budget", "ALTER TABLE campaigns MODIFY ends_at DATETIME")
    shop.execute("SET SESSION sql_mode = ''", "UPDATE campaigns SET ends_at = 0")
    with pytest.raises(UserError, match=r"campaigns.ends_at: '0000-00-00 00:00:00' in the database; expected times"):
        pull("other", shop.config.model_copy(update={"naive_times": "utc"}), UPath(tmp_path))


def test_values_of_another_meaning_are_named(shop, tmp_path):
    mysql = shop.server.kind == "mysql"
    change = "MODIFY image_id VARBINARY(40)" if mysql else "ALTER COLUMN image_id TYPE bytea USING image_id::bytea"
    shop.execute(f"ALTER TABLE images {change}")
    with pytest.raises(UserError, match=r"images.image_id: b'.*' in the database; expected text \(ids are strings\)"):
        pull("bakery", shop.config, UPath(tmp_path))
    shop.execute("ALTER TABLE impressions DROP COLUMN click")
    shop.execute("ALTER TABLE impressions ADD click VARCHAR(9)", "UPDATE impressions SET click = 'yes'")
    with pytest.raises(UserError, match=r"impressions.click: 'yes' in the database; expected whole numbers"):
        pull("bakery", shop.config, UPath(tmp_path))


def test_only_what_passes_is_said_to_pass(shop, tmp_path, monkeypatch):
    """A wrong password and a missing right stay wrong; a server that is away comes back."""
    monkeypatch.setenv("SHOP_PASSWORD", "guessed")
    with pytest.raises(UserError, match=r"nothing has changed. Correct this, then pull again"):
        pull("bakery", shop.config, UPath(tmp_path))
    monkeypatch.setenv("SHOP_PASSWORD", READER[1])
    with pytest.raises(DatabaseFailed) as failed, snapshot(shop.config) as database:
        database.connection.execute(sa.text("SELECT no_such_column FROM impressions"))
    assert not failed.value.transient
    for right, wrong in (("/shop", "/elsewhere"), ("@127.0.0.1", "@no-such-host.invalid")):
        other = shop.config.model_copy(update={"url": shop.config.url.replace(right, wrong)})
        with pytest.raises(UserError, match="Correct this, then pull again"):
            pull("bakery", other, UPath(tmp_path))
    shop.server.kill()
    try:
        with pytest.raises(UserError, match=r"nothing has changed. Pull again to continue"):
            pull("bakery", shop.config, UPath(tmp_path))
    finally:
        shop.server.start()
