"""The pipeline: registry snapshot, six stages, publication. Each run ends in a decision with its reasons."""

from pathlib import Path

from prefect import flow, runtime, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from components.registry.locks import folder_lock
from components.serving import served_log
from components.serving.server_clock import now_microseconds
from components.settings.errors import UserError
from components.settings.paths import STAGES, Paths
from components.settings.sections import Settings
from components.workflow.publishing import export as exporting
from components.workflow.publishing import publication
from components.workflow.publishing.nightly_refit import refit_overrides, score_refit
from components.workflow.run_report.report_page import write_report
from flows.creatives import creatives
from flows.gpu import creatives_on_gpu
from flows.notifications import notify_failure, notify_outcome
from flows.tasks import RETRIED, artifact_key, dated, locate, run_and_show

collect = task(served_log.collect, name="collect", **RETRIED)
snapshot = task(publication.snapshot, name="snapshot", **RETRIED)
charge = task(publication.charge, name="charge", **RETRIED)
refit = task(refit_overrides, name="refit-settings", **RETRIED)
score = task(score_refit, name="score-refit", **RETRIED)
publish = task(publication.publish, name="publish", **RETRIED)
export = task(exporting.export, name="export", cache_policy=NO_CACHE)
report = task(write_report, name="report", cache_policy=NO_CACHE)


@flow(
    name="pipeline",
    flow_run_name="{dataset}",
    timeout_seconds=8 * 3600,  # a nightly run that hangs ends before the next one begins
    on_failure=[notify_failure],
    on_crashed=[notify_failure],
    on_completion=[notify_outcome],
)
def pipeline(
    dataset: str,
    params: str = "params.yaml",
    data: str | None = None,
    workdir: str = "artifacts",
    overrides: tuple[str, ...] = (),
    *,
    as_of: str | None = None,
    window_days: int | None = None,
    attribution_days: int | None = None,
    publish_as_of: bool = False,
    collect_served: bool = False,
) -> dict:
    """The outcome of `dataset`, from raw tables to a decision about its policy.

    `data`: the folder of the raw tables (default data/<dataset>). `overrides`: section.key=value, as in `adloom run`.
    `as_of` (a date or time in UTC), `window_days`, `attribution_days`: the settings of these names in `validation`. A
    run as of an earlier time does not charge the ledger, and registers and exports nothing, unless `publish_as_of`.
    `collect_served`: what `adloom serve` logged joins the data set first, as by `adloom data collect`. Meanwhile no
    other process may work in the data set's artifacts.
    """
    overrides = dated(overrides, as_of, window_days, attribution_days)
    settings, paths = locate(dataset, params, data, workdir, overrides)
    with folder_lock(Path(paths.artifacts), publication.RUN):
        if collect_served:
            collect(dataset, paths.data, Path(paths.serving), settings, now_microseconds())
        return _run(dataset, settings, paths, (params, data, workdir, overrides), publish_as_of)


def _run(dataset: str, settings: Settings, paths: Paths, parameters: tuple, publish_as_of: bool) -> dict:
    """The outcome of the pipeline; parameters: params, data, workdir and overrides of the flow."""
    params, data, workdir, overrides = parameters
    publishing = settings.validation.as_of is None or publish_as_of
    snapshot(dataset, settings, paths)
    for name in STAGES:
        if name == "features" and publishing and settings.promotion.refresh:
            overrides = (*overrides, *refit(dataset, settings, paths))
            settings, _ = locate(dataset, params, data, workdir, overrides)
        if name == "evaluation" and publishing:  # before the look at the judged rows
            charge(dataset, settings, paths)
        on_gpu = name == "creatives" and settings.creatives.pool == "gpu"
        if on_gpu:
            creatives_on_gpu(dataset, settings, paths, params, overrides)
        if name == "creatives" and not on_gpu:
            creatives(dataset, params, data, workdir, overrides)
        else:  # outputs from the GPU pool are unchanged, so the stage only shows its page
            run_and_show(name, dataset, settings, paths)
    if publishing:
        night = score(dataset, settings, paths) if settings.promotion.refresh else None
        outcome = publish(dataset, settings, paths, str(runtime.flow_run.id), night)
        export(outcome, paths)
    else:
        outcome = publication.preview(dataset, paths)
    page = report(outcome, paths)
    create_link_artifact(
        key=artifact_key(dataset, "report"), link=Path(page).resolve().as_uri(), link_text="Report of this run"
    )
    create_markdown_artifact(key=artifact_key(dataset, "decision"), markdown=publication.page(outcome))
    return {**outcome, "report": page}


def run_all(
    datasets: tuple[str, ...],
    params: str,
    data: str | None,
    workdir: str,
    overrides: tuple[str, ...],
    *,
    publish_as_of: bool = False,
) -> list[dict]:
    """The outcomes of the pipeline on each data set in turn, under one Prefect server."""
    if PREFECT_API_URL.value():  # without one, Prefect starts a temporary server
        with get_client(sync_client=True) as client:
            fault = client.api_healthcheck()
        if fault is not None:
            raise UserError(f"PREFECT_API_URL: no Prefect server answers at {PREFECT_API_URL.value()} ({fault})")
    return [pipeline(name, params, data, workdir, overrides, publish_as_of=publish_as_of) for name in datasets]
