"""The creatives stage beside the champion generators that it begins at: recorded, repeatable, at rest afterwards."""

import shutil

import pytest

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_json
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.workflow import run_stage
from components.workflow.remote import remote_stage
from tests.flows.conftest import copied

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(built_shop):
    def settings_with(*more: str):
        overrides = ("creatives.warm_start=true", "creatives.warm_share=0.5", "creatives.generators=[vae]", *more)
        return load_settings(built_shop.params, "marketplace", overrides)

    return settings_with


@pytest.fixture
def paths(ready, tmp_path) -> Paths:
    return copied(ready, tmp_path / "here")


def crown(paths: Paths) -> None:
    """Make the stage's own generators the champion, as the registry does with those that pass."""
    shutil.rmtree(paths.champion_generators, ignore_errors=True)
    shutil.copytree(paths.stage("creatives") / "model", paths.champion_generators)


def start(paths: Paths) -> tuple[str, int]:
    """Where the VAE began by the stage's record, and how many steps it took."""
    record = read_json(paths.stage("creatives") / "metrics.json")
    remarks = [remark for remark in record["remarks"] if remark.startswith("vae: begun")]
    assert remarks == [
        line[2:] for line in (paths.docs / "creatives.md").read_text().splitlines() if line[2:] in remarks
    ]
    return remarks[0], record["generators"]["vae-3"]["steps"]


def test_nights_of_warm_starts(paths, settings):
    first, night = settings(), settings("creatives.seed=1")  # another seed stands for what else may change
    assert run_stage.run("creatives", first, paths)
    assert start(paths) == ("vae: begun at the seed, because there is no champion", 4)
    crown(paths)
    assert not run_stage.run("creatives", first, paths), "its own success made it stale"
    assert run_stage.run("creatives", night, paths)
    assert start(paths) == ("vae: begun at the champion's weights, for 0.5 of its steps", 2)
    made = digest_tree(paths.stage("creatives"), skip=())
    assert not run_stage.run("creatives", night, paths)
    assert run_stage.run("creatives", night, paths, force=True)
    assert digest_tree(paths.stage("creatives"), skip=()) == made
    crown(paths)
    assert not run_stage.run("creatives", night, paths)
    (paths.champion_generators / "vae-3" / "weights.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"champion-generators/vae-3/weights\.npz: damaged weights"):
        run_stage.run("creatives", night, paths)


def test_the_worker_gets_the_champion_that_the_run_knows_and_no_other(paths, settings, tmp_path, monkeypatch):
    with_store = settings(f"creatives.store={tmp_path / 'store'}")
    worker = Paths.of("marketplace", str(paths.data), str(tmp_path / "there"))
    for folder, name in ((paths, "about.json"), (worker, "about.json"), (worker, "left.npz")):
        folder.champion_generators.mkdir(parents=True, exist_ok=True)
        (folder.champion_generators / name).write_text(f"{folder.artifacts}")
    worker.docs.mkdir()
    (worker.docs / "creatives.md").touch()
    monkeypatch.setattr(run_stage, "run", lambda *_: None)  # what it would read is what is looked at
    remote_stage.carry_out(remote_stage.hand_over(with_store, paths), with_store, worker)
    assert digest_tree(worker.champion_generators) == digest_tree(paths.champion_generators)
    assert run_stage.stage_manifest("creatives", with_store, worker) == run_stage.stage_manifest(
        "creatives", with_store, paths
    )
