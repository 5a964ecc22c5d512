"""The generator stage as a flow of its own, so that a GPU work pool can run it."""

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from components.registry.locks import folder_lock
from components.workflow.remote import remote_stage
from flows.notices import tell_failure
from flows.tasks import locate, run_and_show


@flow(
    name="creatives",
    flow_run_name="{dataset}",
    timeout_seconds=6 * 3600,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
def creatives(
    dataset: str,
    params: str = "params.yaml",
    data: str | None = None,
    workdir: str = "artifacts",
    overrides: tuple[str, ...] = (),
    order: remote_stage.Order | None = None,
) -> State | None:
    """Train the generators of `dataset` and fill its pool of new creatives.

    `order`: work that a pipeline on another machine left in the store. The state in which this run then ends has, as
    its message, the digest by which that pipeline finds the outputs: results of a flow stay on the worker's own disk.
    """
    settings, paths = locate(dataset, params, data, workdir, overrides)
    with folder_lock(Path(paths.artifacts), "the flow `creatives`"):  # a pipeline's own process has it already
        if order is None:
            run_and_show("creatives", dataset, settings, paths)
            return None
        return Completed(message=remote_stage.carry_out(order, settings, paths))
