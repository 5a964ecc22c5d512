"""A registry of the session, without a champion at the start of each test, and a shop on disk."""

import pytest

from components.serving.shop_tables import read_shop
from tests.components.serving.scene import dethrone, write_shop


@pytest.fixture
def registry(store):
    dethrone(store)
    return store


@pytest.fixture
def little_shop(tmp_path):
    return read_shop(write_shop(tmp_path / "data" / "shop"))
