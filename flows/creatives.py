"""The stage creatives as a separate flow, which a GPU work pool can run."""

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from components.registry.locks import folder_lock
from components.workflow.remote import remote_stage
from flows.notifications import notify_failure
from flows.tasks import locate, run_and_show


@flow(
    name="creatives",
    flow_run_name="{dataset}",
    timeout_seconds=6 * 3600,
    on_failure=[notify_failure],
    on_crashed=[notify_failure],
)
def creatives(
    dataset: str,
    params: str = "params.yaml",
    data: str | None = None,
    workdir: str = "artifacts",
    overrides: tuple[str, ...] = (),
    *,
    order: remote_stage.StageOrder | None = None,
) -> State | None:
    """Train the generators of `dataset` and fill its pool of new creatives.

    `order`: from a pipeline on another machine. The message of this run's final state is then the digest by which that
    pipeline finds the outputs, because the results of a flow stay on the worker's disk.
    """
    settings, paths = locate(dataset, params, data, workdir, overrides)
    with folder_lock(Path(paths.artifacts), "the flow `creatives`"):  # within a pipeline the process holds it already
        if order is None:
            run_and_show("creatives", dataset, settings, paths)
            return None
        return Completed(message=remote_stage.carry_out(order, settings, paths))
