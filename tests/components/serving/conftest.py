"""A registry of the session, without a champion at the start of each test, and a shop on disk."""

import pytest

from components.registry.mlflow_store import open_store
from components.serving.shop_tables import read_shop
from tests.components.serving.scene import dethrone, write_shop


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.setenv("ADLOOM_ARTIFACT_ROOT", str(folder / "artifacts"))
    patch.setenv("ADLOOM_STATE", str(folder))
    patch.chdir(folder)
    yield open_store()
    patch.undo()


@pytest.fixture
def registry(store):
    dethrone(store)
    return store


@pytest.fixture
def little_shop(tmp_path):
    return read_shop(write_shop(tmp_path / "data" / "shop"))
