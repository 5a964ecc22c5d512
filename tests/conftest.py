"""A shop small enough to run whole in tests: real photos, simulated shoppers, every setting sized down."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from upath import UPath

from components.settings.environment import defaults
from components.settings.paths import ROOT
from tests.skips import CI, skipped

SMALL = {
    "simulator": {
        "shoppers": 400,
        "campaigns": 2,
        "creatives_per_campaign": 12,
        "events": 8_000,
        "impressions": 6_000,
        "days": 8,
    },
    "interest": {"models": ["logistic"], "bootstrap": 20},
    "creatives": {
        "vae": {"steps": 4, "max_seconds": 60.0, "batch_size": 16, "latent": 4},
        "wgan": {"steps": 2, "max_seconds": 60.0, "batch_size": 16, "latent": 4},
        "generators": ["vae", "wgan"],
        "restarts": 0,  # so little training does not tell categories apart
        "quality_photos": 200,
        "quality_samples": 100,
        "pool_per_campaign": 2,
        "parser_steps": 20,
        "max_attempts": 2,
    },
    "evaluation": {"bootstrap": 50, "clones": 2, "clone_impressions": 500},
}
PHOTOS_PER_CATEGORY = {0: 60, 1: 30}  # train, test


@dataclass(frozen=True)
class Shop:
    """A project folder of its own: params.yaml and data/marketplace, as `adloom` finds them there."""

    folder: Path

    @property
    def params(self) -> str:
        return str(self.folder / "params.yaml")

    @property
    def data(self) -> Path:
        return self.folder / "data" / "marketplace"


@pytest.fixture(scope="session", autouse=True)
def quiet_environment(tmp_path_factory):
    """The environment that every command prepares, with its state in a folder of the session's own."""
    patch = pytest.MonkeyPatch()
    for name, value in defaults(tmp_path_factory.mktemp("state")).items():
        patch.setenv(name, value)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def few_photos():
    """Some hundred of the real photos, the same of each category."""
    from components.datasets.fashion_mnist import load_photos
    from components.simulator import Photos

    photos = load_photos(cache=ROOT / ".adloom" / "cache")
    rows = []
    for split, count in PHOTOS_PER_CATEGORY.items():
        for category in np.unique(photos.category):
            rows.append(np.flatnonzero((photos.split == split) & (photos.category == category))[:count])
    kept = np.concatenate(rows)
    ids = tuple(photos.ids[row] for row in kept)
    return Photos(ids, photos.pictures[kept], photos.category[kept], photos.split[kept])


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory, few_photos) -> Shop:
    """The small shop as built, for reading only."""
    from components.datasets.dataset_files import write_dataset
    from components.datasets.marketplace import build_tables
    from components.settings.params_file import load_settings

    folder = tmp_path_factory.mktemp("shop")
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in SMALL.items():
        document[section] = {**document[section], **values}
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    tables, card = build_tables(load_settings(folder / "params.yaml", "marketplace").simulator, few_photos)
    write_dataset(tables, card, UPath(folder / "data" / "marketplace"))
    return Shop(folder)


@pytest.fixture
def shop(built_shop, tmp_path, monkeypatch) -> Shop:
    """A copy of the small shop that a test may spoil; the working directory is its folder."""
    import shutil

    shutil.copytree(built_shop.folder, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return Shop(tmp_path / "shop")


@pytest.fixture
def s3(monkeypatch):
    """A bucket of a real S3 server on loopback; its URL."""
    server_module = pytest.importorskip("moto.server", reason="moto is part of the extra dev")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is part of the extra s3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"adloom-{uuid.uuid4().hex}"  # moto keeps buckets in the process, beyond its servers
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/store"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def pytest_terminal_summary(terminalreporter):
    """One line per group of tests that this machine skipped; in CI also what must not have been skipped."""
    for one in skipped(terminalreporter.stats.get("skipped", ())):
        terminalreporter.write_line(one.line(), yellow=True)
        if CI in os.environ and one.fault():
            terminalreporter.write_line(f"ERROR {one.fault()}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """In CI a run fails that skipped what it could have run; workers of xdist leave that to their controller."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI in os.environ and reporter and any(one.fault() for one in skipped(reporter.stats.get("skipped", ()))):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(config, items):
    """Fast tests first: a mistake shows early. With several workers the longest files first: all end together."""
    if hasattr(config, "workerinput"):
        from tests.file_groups import longest_first

        longest_first(items)
    else:
        items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile`, files that share what takes long to make share a worker."""
    from tests.file_groups import FileGroupScheduling

    return FileGroupScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
