"""The generator stage as a flow of its own, so that a GPU work pool can run it."""

from prefect import flow

from flows.notices import tell_failure
from flows.tasks import locate, run_stage


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
) -> None:
    """Train the generators of `dataset` and fill its pool of new creatives."""
    settings, paths = locate(dataset, params, data, workdir, overrides)
    run_stage("creatives", dataset, settings, paths)
