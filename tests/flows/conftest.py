"""One whole run of the small shop, by the command that a user types, that the flow tests look at."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from components.settings.paths import Paths


@pytest.fixture(scope="session")
def finished_shop(built_shop, tmp_path_factory):
    """The small shop after `adloom run marketplace`: (shop, outcome). For reading only."""
    from components.settings.paths import ROOT
    from tests.conftest import Shop

    folder = tmp_path_factory.mktemp("finished") / "shop"
    shutil.copytree(built_shop.folder, folder)
    command = [sys.executable, "-m", "components", "run", "marketplace", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return Shop(folder), json.loads(done.stdout)[0]


@pytest.fixture(scope="session")
def ready(built_shop, tmp_path_factory) -> Paths:
    """The small shop before its creatives stage, by default settings. For reading only."""
    from components.settings.params_file import load_settings
    from components.workflow import run_stage

    paths = Paths.of("marketplace", str(built_shop.data), str(tmp_path_factory.mktemp("ready")))
    for name in ("validation", "features", "interest"):
        run_stage.run(name, load_settings(built_shop.params, "marketplace"), paths)
    return paths


def copied(paths: Paths, folder) -> Paths:
    """A copy of these artifacts in `folder`, to be spoiled."""
    shutil.copytree(paths.artifacts, folder / "marketplace")
    return Paths.of("marketplace", str(paths.data), str(folder))


@pytest.fixture
def cpu_paths(finished_shop, tmp_path) -> Paths:
    """The CPU worker's artifacts, its creatives stage still to be done."""
    shutil.copytree(finished_shop[0].folder / "artifacts", tmp_path / "here")
    paths = Paths.of("marketplace", workdir=str(tmp_path / "here"))
    shutil.rmtree(paths.stage("creatives"))
    (paths.docs / "creatives.md").unlink()
    return paths


@pytest.fixture
def gpu_paths(finished_shop, tmp_path) -> Paths:
    """The GPU worker's artifacts: no inputs, but the outputs of a training that it has done on the same ones."""
    paths = Paths.of("marketplace", workdir=str(tmp_path / "there"))
    done = Paths.of("marketplace", workdir=str(finished_shop[0].folder / "artifacts"))
    shutil.copytree(done.stage("creatives"), paths.stage("creatives"))
    paths.docs.mkdir()
    shutil.copy(done.docs / "creatives.md", paths.docs / "creatives.md")
    return paths
