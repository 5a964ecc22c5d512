"""One Prefect server for all flow tests, and one whole run of the small shop that they look at."""

import pytest


@pytest.fixture(scope="session")
def prefect_server(quiet_environment):
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def finished_shop(built_shop, prefect_server, tmp_path_factory):
    """The small shop after `adloom run marketplace`: (shop, outcome). For reading only."""
    import os
    import shutil

    from flows.pipeline import pipeline
    from tests.conftest import Shop

    folder = tmp_path_factory.mktemp("finished") / "shop"
    shutil.copytree(built_shop.folder, folder)
    before = os.getcwd()
    os.chdir(folder)
    try:
        outcome = pipeline("marketplace")
    finally:
        os.chdir(before)
    return Shop(folder), outcome
