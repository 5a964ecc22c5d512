import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from components.datasets.fashion_mnist import load_photos
from components.datasets.marketplace import build_tables
from components.settings.sections import SimulatorConfig, SourceConfig
from tests.components.datasets.servers import READER, Server, create, missing
from tests.components.datasets.shop import SAMPLE, Shop, declared


@pytest.fixture(scope="session")
def all_photos():
    return load_photos()


@pytest.fixture(scope="session")
def photos(all_photos):
    return all_photos.head(1000, 100)


@pytest.fixture(scope="session")
def tiny_config():
    return SimulatorConfig(shoppers=60, campaigns=2, creatives_per_campaign=12, events=300, impressions=600, days=3)


@pytest.fixture(scope="session")
def tiny(tiny_config, photos):
    return build_tables(tiny_config, photos)


@pytest.fixture(scope="module", params=["mysql", "postgresql"])
def server(request):
    reason = missing(request.param)
    if reason:
        pytest.skip(reason)
    with TemporaryDirectory(prefix="adloom-") as folder:  # pytest's own folders are closed to the servers' users
        os.chmod(folder, 0o755)
        made = create(request.param, Path(folder) / "server")
        yield made
        made.kill()


def empty(server: Server, engine: sa.Engine) -> None:
    """Drop all that an earlier test left in the database `shop`."""
    with engine.begin() as connection:
        if server.kind == "postgresql":
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
            return
        inspector = sa.inspect(connection)
        for kind, names in (("VIEW", inspector.get_view_names()), ("TABLE", inspector.get_table_names())):
            for name in names:
                connection.execute(sa.text(f"DROP {kind} {name}"))


@pytest.fixture
def shop(server, monkeypatch) -> Shop:
    """The sample's first days in a fresh database, known to the environment alone."""
    monkeypatch.setenv("SHOP_USER", READER[0])
    monkeypatch.setenv("SHOP_PASSWORD", READER[1])
    tables = declared(server.kind)
    engine = sa.create_engine(server.owner_url())
    empty(server, engine)
    tables["impressions"].metadata.create_all(engine)
    made = Shop(server, SourceConfig(url=server.source(), batch_rows=37), tables)
    for name, rows in SAMPLE.items():
        made.insert(name, rows)
    return made
