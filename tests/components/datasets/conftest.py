import pytest

from components.config import WorldConfig
from components.datasets.marketplace import build_tables
from components.datasets.photos import load_photos


@pytest.fixture(scope="session")
def all_photos():
    return load_photos()


@pytest.fixture(scope="session")
def photos(all_photos):
    return all_photos.head(1000, 100)


@pytest.fixture(scope="session")
def tiny_config():
    return WorldConfig(shoppers=60, campaigns=2, creatives_per_campaign=12, events=300, impressions=600, days=3)


@pytest.fixture(scope="session")
def tiny(tiny_config, photos):
    return build_tables(tiny_config, photos)
