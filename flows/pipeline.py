"""The whole chain: registry snapshot, six stages, publication. Each run ends in a decision with its reason."""

from pathlib import Path

from prefect import flow, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from components.registry.locks import folder_lock
from components.settings.errors import UserError
from components.settings.paths import STAGES, Paths
from components.settings.sections import Settings
from components.workflow.publishing import export as exporting
from components.workflow.publishing import publication
from flows.creatives import creatives
from flows.gpu import creatives_on_gpu
from flows.notices import tell_failure, tell_outcome
from flows.tasks import RETRIED, artifact_key, dated, locate, run_and_show

snapshot = task(publication.snapshot, name="snapshot", **RETRIED)
charge = task(publication.charge, name="charge", **RETRIED)
publish = task(publication.publish, name="publish", **RETRIED)
export = task(exporting.export, name="export", cache_policy=NO_CACHE)


@flow(
    name="pipeline",
    flow_run_name="{dataset}",
    timeout_seconds=8 * 3600,  # a night that hangs ends before the next one begins
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
    on_completion=[tell_outcome],
)
def pipeline(
    dataset: str,
    params: str = "params.yaml",
    data: str | None = None,
    workdir: str = "artifacts",
    overrides: tuple[str, ...] = (),
    as_of: str | None = None,
    window_days: int | None = None,
    attribution_days: int | None = None,
    publish_as_of: bool = False,
) -> dict:
    """Take `dataset` from raw tables to a decision about its policy; the record of that decision comes back.

    `data`: the folder of the raw tables (default data/<dataset>). `overrides`: section.key=value, as in `adloom run`.
    `as_of` (a date or time in UTC), `window_days`, `attribution_days`: the settings of these names in `validation`. A
    run as of an earlier time looks at no judged rows that the ledger was not charged for, registers and exports
    nothing, unless `publish_as_of`. No other process may work in the data set's artifacts meanwhile.
    """
    overrides = dated(overrides, as_of, window_days, attribution_days)
    settings, paths = locate(dataset, params, data, workdir, overrides)
    with folder_lock(Path(paths.artifacts), publication.RUN):
        return _run(dataset, settings, paths, (params, data, workdir, overrides), publish_as_of)


def _run(dataset: str, settings: Settings, paths: Paths, given: tuple, publish_as_of: bool) -> dict:
    """The chain; `given`: params, data, workdir and overrides, as the flow got them."""
    params, _, _, overrides = given
    publishing = settings.validation.as_of is None or publish_as_of
    snapshot(dataset, settings, paths)
    for name in STAGES:
        if name == "evaluation" and publishing:  # a look at the judged rows is paid for before it is taken
            charge(dataset, settings, paths)
        on_gpu = name == "creatives" and settings.creatives.pool == "gpu"
        if on_gpu:
            creatives_on_gpu(dataset, settings, paths, params, overrides)
        if name == "creatives" and not on_gpu:
            creatives(dataset, *given)
        else:  # what came from the GPU pool is found unchanged, and shown
            run_and_show(name, dataset, settings, paths)
    if publishing:
        outcome = publish(dataset, settings, paths, str(runtime.flow_run.id))
        export(outcome, paths)
    else:
        outcome = publication.preview(dataset, paths)
    create_markdown_artifact(key=artifact_key(dataset, "decision"), markdown=publication.page(outcome))
    return outcome


def run_all(
    datasets: tuple[str, ...],
    params: str,
    data: str | None,
    workdir: str,
    overrides: tuple[str, ...],
    publish_as_of: bool = False,
) -> list[dict]:
    """Run the pipeline on each data set in turn, under one Prefect server; their outcomes in the same order."""
    if PREFECT_API_URL.value():  # without one, a temporary server starts of itself
        with get_client(sync_client=True) as client:
            fault = client.api_healthcheck()
        if fault is not None:
            raise UserError(f"PREFECT_API_URL: no Prefect server answers at {PREFECT_API_URL.value()} ({fault})")
    return [pipeline(name, params, data, workdir, overrides, publish_as_of=publish_as_of) for name in datasets]
