"""The pipeline's side of the GPU pool: order the generators there, wait, take over what was made."""

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
ATTEMPTS = 3  # a worker that dies is no reason to give the night up; one that dies each time is
POLL_SECONDS = 2.0

hand_over = task(remote_stage.hand_over, name="hand-over", **RETRIED)
take_over = task(remote_stage.take_over, name="take-over", **RETRIED)


def creatives_on_gpu(dataset: str, settings: Settings, paths: Paths, params: str, overrides: tuple[str, ...]) -> None:
    """Have a worker of the GPU pool run the creatives stage, unless nothing that it depends on has changed.

    A run there that crashes is ordered again; its checkpoints let the worker go on where it was.
    """
    if not remote_stage.is_due(settings, paths):
        return
    order = hand_over(settings, paths)
    given = {"dataset": dataset, "params": params, "overrides": list(overrides), "order": order.model_dump()}
    for attempt in range(1, ATTEMPTS + 1):
        done = _finished(_ordered(given), settings.creatives.worker_seconds)
        if done.state.is_completed():
            take_over(done.state.message, order, settings, paths)
            return
        if not done.state.is_crashed():
            break
        get_run_logger().warning("%s: crashed (attempt %d of %d): %s", done.name, attempt, ATTEMPTS, done.state.message)
    raise UserError(f"{DEPLOYMENT}, run {done.name}: {done.state.name}: {done.state.message}")


def _ordered(parameters: dict) -> FlowRun:
    try:
        return run_deployment(DEPLOYMENT, parameters=parameters, timeout=0)
    except ObjectNotFound:
        raise UserError(
            f"creatives.pool is gpu, but the Prefect server knows no deployment {DEPLOYMENT}: set PREFECT_API_URL to a "
            "server of your own and `prefect --no-prompt deploy --all` there"
        ) from None


def _finished(ordered: FlowRun, patience: float) -> FlowRun:
    """The run once it has ended; UserError, with the run cancelled, where no worker takes it in `patience` seconds."""
    begun = time.monotonic()
    with get_client(sync_client=True) as client:
        while True:
            run = client.read_flow_run(ordered.id)
            if run.state.is_final():
                return run
            queued = run.state.name == "AwaitingConcurrencySlot"  # behind another run, which a worker has taken
            if run.state.is_scheduled() and not queued and time.monotonic() - begun > patience:
                message = f"no worker of the work pool gpu took it within {patience:g} s"
                client.set_flow_run_state(run.id, Cancelled(message=message))
                raise UserError(
                    f"{DEPLOYMENT}, run {run.name}: {message}; start one with `prefect worker start --pool gpu`"
                )
            time.sleep(POLL_SECONDS)
