"""The pipeline's side of the GPU pool: order the stage creatives there, wait, take over its outputs."""

import time

from prefect import get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import Settings
from components.workflow.remote import remote_stage
from flows.tasks import RETRIED

DEPLOYMENT = "creatives/gpu"
ATTEMPTS = 3  # runs that crash before the pipeline fails
POLL_SECONDS = 2.0

hand_over = task(remote_stage.hand_over, name="hand-over", **RETRIED)
take_over = task(remote_stage.take_over, name="take-over", **RETRIED)


def creatives_on_gpu(dataset: str, settings: Settings, paths: Paths, params: str, overrides: tuple[str, ...]) -> None:
    """Run the stage creatives on a worker of the GPU pool, unless nothing that it depends on has changed.

    A run that crashes is ordered again; checkpoints let the worker continue.
    """
    if not remote_stage.must_run(settings, paths):
        return
    order = hand_over(settings, paths)
    parameters = {"dataset": dataset, "params": params, "overrides": list(overrides), "order": order.model_dump()}
    for attempt in range(1, ATTEMPTS + 1):
        run = _finished(_ordered(parameters), settings.creatives.worker_seconds)
        if run.state.is_completed():
            take_over(run.state.message, order, settings, paths)
            return
        if not run.state.is_crashed():
            break
        get_run_logger().warning("%s: crashed (attempt %d of %d): %s", run.name, attempt, ATTEMPTS, run.state.message)
    raise UserError(f"{DEPLOYMENT}, run {run.name}: {run.state.name}: {run.state.message}")


def _ordered(parameters: dict) -> FlowRun:
    try:
        return run_deployment(DEPLOYMENT, parameters=parameters, timeout=0)
    except ObjectNotFound:
        raise UserError(
            f"creatives.pool is gpu, but the Prefect server has no deployment {DEPLOYMENT}: set PREFECT_API_URL to a "
            "server of your own and run `prefect --no-prompt deploy --all` there"
        ) from None


def _finished(ordered: FlowRun, worker_seconds: float) -> FlowRun:
    """The run after its end; UserError, with the run cancelled, if no worker takes it within `worker_seconds`."""
    start = time.monotonic()
    with get_client(sync_client=True) as client:
        while True:
            run = client.read_flow_run(ordered.id)
            if run.state.is_final():
                return run
            queued = run.state.name == "AwaitingConcurrencySlot"  # a worker is busy with another run
            if run.state.is_scheduled() and not queued and time.monotonic() - start > worker_seconds:
                message = f"no worker of the work pool gpu took it within {worker_seconds:g} s"
                client.set_flow_run_state(run.id, Cancelled(message=message))
                raise UserError(
                    f"{DEPLOYMENT}, run {run.name}: {message}; start one with `prefect worker start --pool gpu`"
                )
            time.sleep(POLL_SECONDS)
