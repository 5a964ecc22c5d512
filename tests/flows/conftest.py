"""One whole run of the small shop, by the command that a user types, that the flow tests look at."""

import json
import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def finished_shop(built_shop, tmp_path_factory):
    """The small shop after `adloom run marketplace`: (shop, outcome). For reading only."""
    from components.manifest import ROOT
    from tests.conftest import Shop

    folder = tmp_path_factory.mktemp("finished") / "shop"
    shutil.copytree(built_shop.folder, folder)
    command = [sys.executable, "-m", "components", "run", "marketplace", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return Shop(folder), json.loads(done.stdout)[0]
