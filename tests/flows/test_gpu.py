"""The pipeline's side of the GPU pool, on a real Prefect server: orders, waits, orders again, gives up in words."""

import json
import threading
import time

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Completed, Crashed, Failed

from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from components.workflow.remote import remote_stage
from flows.gpu import DEPLOYMENT, creatives_on_gpu

pytestmark = pytest.mark.slow
POOLS = ("cpu", "gpu")


@pytest.fixture(scope="module")
def prefect_server():
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=None):
        yield


@pytest.fixture(scope="module")
def deployed(prefect_server):
    """The pools, deployments and automations that the repository declares, on the tests' server."""
    from prefect.testing.cli import CycloptsCliRunner

    template = str(ROOT / "infra" / "process.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for command in (
            *(["work-pool", "create", pool, "--type", "process", "--base-job-template", template] for pool in POOLS),
            ["deploy", "--all"],
            ["automation", "create", "--from-file", str(ROOT / "infra" / "automations.yaml")],
        ):
            done = CycloptsCliRunner().invoke(["--no-prompt", *command])
            assert done.exit_code == 0, done.output


@flow
def night(settings, paths, overrides: tuple[str, ...] = ()) -> None:
    creatives_on_gpu("marketplace", settings, paths, "params.yaml", overrides)


class Worker(threading.Thread):
    """Takes each order for the GPU pool and ends it in the state that the next of `answers` makes of it."""

    def __init__(self, *answers):
        super().__init__(daemon=True)
        self.answers, self.orders = list(answers), []

    def answer(self):
        try:
            return self.answers.pop(0)(self.orders[-1])
        except Exception as error:  # in a thread nobody would hear of it, and the night would wait
            return Failed(message=f"the test's worker: {error!r}")

    def run(self):
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
            while self.answers:
                for run in client.read_flow_runs(limit=20):
                    if run.deployment_id == deployment.id and run.state.is_scheduled() and self.answers:
                        self.orders.append(remote_stage.StageOrder.model_validate(run.parameters["order"]))
                        client.set_flow_run_state(run.id, self.answer(), force=True)
                time.sleep(0.2)


def gpu_settings(finished_shop, tmp_path, *more: str):
    overrides = ("creatives.pool=gpu", f"creatives.store={tmp_path / 'store'}", "creatives.worker_seconds=60.0", *more)
    return load_settings(finished_shop[0].params, "marketplace", overrides)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("flows.gpu.POLL_SECONDS", 0.2)


def test_without_the_deployment_the_run_says_how_to_make_it(finished_shop, cpu_paths, tmp_path, prefect_server):
    with pytest.raises(UserError, match=r"has no deployment creatives/gpu: set PREFECT_API_URL"):
        night(gpu_settings(finished_shop, tmp_path), cpu_paths)


def test_a_run_that_crashes_is_ordered_again_and_its_outputs_taken_over(
    finished_shop, cpu_paths, gpu_paths, tmp_path, deployed
):
    settings = gpu_settings(finished_shop, tmp_path)
    worker = Worker(
        lambda order: Crashed(message="no sign of life"),
        lambda order: Completed(message=remote_stage.carry_out(order, settings, gpu_paths)),
    )
    worker.start()
    night(settings, cpu_paths)
    assert len(worker.orders) == 2
    assert worker.orders[0] == worker.orders[1]
    assert not remote_stage.must_run(settings, cpu_paths)
    night(settings, cpu_paths)  # nothing has changed, so nobody is asked: no worker is there to answer


def test_a_run_that_crashes_each_time_ends_the_night_with_the_reason(finished_shop, cpu_paths, tmp_path, deployed):
    worker = Worker(*[lambda order: Crashed(message="no sign of life")] * 3)
    worker.start()
    with pytest.raises(UserError, match=r"creatives/gpu, run .*: Crashed: no sign of life"):
        night(gpu_settings(finished_shop, tmp_path), cpu_paths)
    assert len(worker.orders) == 3


def test_a_run_that_fails_is_not_ordered_again(finished_shop, cpu_paths, tmp_path, deployed):
    worker = Worker(lambda order: Failed(message="the code of stage creatives on this worker differs"))
    worker.start()
    with pytest.raises(UserError, match="Failed: the code of stage creatives"):
        night(gpu_settings(finished_shop, tmp_path), cpu_paths)
    assert not cpu_paths.stage("creatives").exists()


def test_no_worker_ends_the_night_in_words_and_withdraws_the_order(finished_shop, cpu_paths, tmp_path, deployed):
    with pytest.raises(UserError, match="no worker of the work pool gpu took it within 1 s; start one with"):
        night(gpu_settings(finished_shop, tmp_path, "creatives.worker_seconds=1.0"), cpu_paths)
    with get_client(sync_client=True) as client:
        (latest,) = [run for run in client.read_flow_runs(limit=20) if run.state.is_cancelled()]
    assert "no worker of the work pool gpu" in latest.state.message


def test_the_automations_stand_on_the_server(deployed):
    with get_client(sync_client=True) as client:
        automations = client._client.post("/automations/filter", json={}).json()
    assert {automation["name"]: automation["actions"][0]["state"] for automation in automations} == {
        "dead runs are crashed": "CRASHED",
        "runs without a worker fail": "FAILED",
        "runs that never begin are crashed": "CRASHED",
    }
    dead = next(automation for automation in automations if automation["name"] == "dead runs are crashed")
    template = json.loads((ROOT / "infra" / "process.json").read_text(encoding="utf-8"))
    beat = int(template["variables"]["properties"]["env"]["default"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    assert 2 * beat < dead["trigger"]["within"] < 90 - 10  # one lost sign is no death; ten seconds to act
