"""The creatives stage by way of a store: what the other machine makes is taken over whole, or not at all."""

import json
import shutil

import pytest
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import write_bytes
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.settings.sections import CreativesConfig, Settings
from components.workflow import run_stage
from components.workflow.caching.manifests import Manifest
from components.workflow.remote import remote_stage
from components.workflow.remote.object_store import open_object_store, send

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(finished_shop, tmp_path):
    return with_store(finished_shop, str(tmp_path / "store"))


def with_store(finished_shop, url: str):
    return load_settings(finished_shop[0].params, "marketplace", (f"creatives.store={url}",))


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_the_outputs_are_those_of_the_other_machine_and_count_as_done(
    kind, finished_shop, cpu_paths, gpu_paths, request
):
    url = request.getfixturevalue("s3") if kind == "s3" else str(request.getfixturevalue("tmp_path") / "store")
    settings = with_store(finished_shop, url)
    assert remote_stage.must_run(settings, cpu_paths)
    order = remote_stage.hand_over(settings, cpu_paths)
    outputs = remote_stage.carry_out(order, settings, gpu_paths)
    remote_stage.take_over(outputs, order, settings, cpu_paths)
    assert digest_tree(cpu_paths.stage("creatives"), skip=()) == digest_tree(gpu_paths.stage("creatives"), skip=())
    assert not remote_stage.must_run(settings, cpu_paths)
    assert not run_stage.run("creatives", settings, cpu_paths)
    assert (cpu_paths.docs / "creatives.md").read_text() == (gpu_paths.docs / "creatives.md").read_text()


@pytest.mark.parametrize(
    ("override", "kind"), [("creatives.seed=1", "settings"), ("creatives.vae.steps=5", "settings"), (None, "code")]
)
def test_a_worker_of_another_code_or_other_settings_trains_nothing(
    settings, cpu_paths, gpu_paths, override, kind, finished_shop
):
    order = remote_stage.hand_over(settings, cpu_paths)
    before = digest_tree(gpu_paths.stage("creatives"), skip=())
    others = load_settings(finished_shop[0].params, "marketplace", (override,) if override else ())
    if override is None:
        order = order.model_copy(update={"code": "0" * 64})
    with pytest.raises(UserError, match=f"the {kind} of stage creatives on this worker differ"):
        remote_stage.carry_out(order, others, gpu_paths)
    assert digest_tree(gpu_paths.stage("creatives"), skip=()) == before


def test_what_an_earlier_order_left_on_the_worker_is_no_part_of_this_ones_inputs(tmp_path, monkeypatch):
    """A scorer of another kind, say: the digest of its folder says which version of interest filled the pool."""
    cpu_paths, gpu_paths = (Paths.of("marketplace", workdir=str(tmp_path / name)) for name in ("here", "there"))
    settings = Settings(creatives=CreativesConfig(store=str(tmp_path / "store")))
    monkeypatch.setattr(run_stage, "stage_manifest", lambda *_: Manifest("creatives", "0" * 64, "0" * 64, {}, {}))
    monkeypatch.setattr(run_stage, "run", lambda *_: None)
    read = ("validation", "features", "interest")
    for stage in read:
        write_bytes(b"tonight's", cpu_paths.stage(stage) / "model" / "logistic.skops")
        write_bytes(b"an earlier night's", gpu_paths.stage(stage) / "model" / "logistic.skops")
        write_bytes(b"an earlier night's", gpu_paths.stage(stage) / "model" / "disjoint_models" / "0" / "network.keras")
    outputs = [
        gpu_paths.artifacts / name for name in ("creatives/metrics.json", "docs/creatives.md", "checkpoints/vae.npz")
    ]
    for file in outputs:
        write_bytes(b"the worker's own", file)
    remote_stage.carry_out(remote_stage.hand_over(settings, cpu_paths), settings, gpu_paths)
    for stage in read:
        assert digest_tree(gpu_paths.stage(stage), skip=()) == digest_tree(cpu_paths.stage(stage), skip=())
    assert all(file.read_bytes() == b"the worker's own" for file in outputs)


def test_where_it_runs_is_no_part_of_what_it_makes(settings, finished_shop):
    """Or moving to a GPU pool would train everything again."""
    done = Paths.of("marketplace", workdir=str(finished_shop[0].folder / "artifacts"))
    moved = load_settings(finished_shop[0].params, "marketplace", ("creatives.pool=gpu", "creatives.store=elsewhere"))
    assert not remote_stage.must_run(moved, done)


def test_a_tampered_output_is_refused_and_nothing_is_touched(settings, cpu_paths, gpu_paths):
    order = remote_stage.hand_over(settings, cpu_paths)
    outputs = remote_stage.carry_out(order, settings, gpu_paths)
    digest = digest_tree(gpu_paths.stage("creatives"))["metrics.json"]
    place = open_object_store(order.store) / "objects" / digest
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"creatives/metrics\.json was altered or truncated"):
        remote_stage.take_over(outputs, order, settings, cpu_paths)
    assert not cpu_paths.stage("creatives").exists()


def test_outputs_of_other_work_are_refused_and_nothing_is_touched(settings, cpu_paths, gpu_paths):
    order = remote_stage.hand_over(settings, cpu_paths)
    remote_stage.carry_out(order, settings, gpu_paths)
    manifest = gpu_paths.stage("creatives") / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "code": "0" * 64}))
    names = [f"creatives/{name}" for name in digest_tree(gpu_paths.stage("creatives"), skip=())]
    outputs = send(gpu_paths.artifacts, names, open_object_store(order.store))
    with pytest.raises(UserError, match="not the outputs of stage creatives on these inputs"):
        remote_stage.take_over(outputs, order, settings, cpu_paths)
    assert not cpu_paths.stage("creatives").exists()


def test_outputs_that_are_cut_off_while_they_take_their_place_do_not_count(settings, cpu_paths, gpu_paths, monkeypatch):
    order = remote_stage.hand_over(settings, cpu_paths)
    outputs = remote_stage.carry_out(order, settings, gpu_paths)

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("components.workflow.stage_outputs.Outputs.finish", dies)
        with pytest.raises(KeyboardInterrupt):
            remote_stage.take_over(outputs, order, settings, cpu_paths)
    assert remote_stage.must_run(settings, cpu_paths)
    remote_stage.take_over(outputs, order, settings, cpu_paths)
    assert not remote_stage.must_run(settings, cpu_paths)


def test_a_gpu_pool_without_a_store_says_what_is_missing(finished_shop, cpu_paths):
    without = load_settings(finished_shop[0].params, "marketplace", ("creatives.pool=gpu",))
    with pytest.raises(UserError, match=r"creatives\.store must name the folder or bucket"):
        remote_stage.hand_over(without, cpu_paths)


def test_stage_inputs_that_are_gone_are_named(settings, cpu_paths):
    shutil.rmtree(UPath(cpu_paths.stage("features")))
    with pytest.raises(UserError, match="needs stage features"):
        remote_stage.hand_over(settings, cpu_paths)
