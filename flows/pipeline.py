"""The whole chain: registry snapshot, six stages, publication. Each run ends in a decision with its reason."""

from prefect import flow, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from components import publication
from components.errors import UserError
from components.paths import STAGES
from flows.creatives import creatives
from flows.notices import tell_failure, tell_outcome
from flows.tasks import dated, locate, run_stage


def _not_a_mistake(task, task_run, state) -> bool:
    try:
        state.result()
    except UserError:
        return False
    except Exception:
        return True
    return False


retried = {"cache_policy": NO_CACHE, "retries": 3, "retry_delay_seconds": [2, 10, 30]}
snapshot = task(publication.snapshot, name="snapshot", retry_condition_fn=_not_a_mistake, **retried)
publish = task(publication.publish, name="publish", retry_condition_fn=_not_a_mistake, **retried)
export = task(publication.export, name="export", cache_policy=NO_CACHE)


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
) -> dict:
    """Take `dataset` from raw tables to a decision about its policy; the record of that decision comes back.

    `data`: the folder of the raw tables (default data/<dataset>). `overrides`: section.key=value, as in `adloom run`.
    `as_of` (a date or time in UTC), `window_days`, `attribution_days`: the settings of these names in `validation`.
    """
    overrides = dated(overrides, as_of, window_days, attribution_days)
    settings, paths = locate(dataset, params, data, workdir, overrides)
    snapshot(dataset, paths)
    for name in STAGES:
        if name == "creatives":
            creatives(dataset, params, data, workdir, overrides)
        else:
            run_stage(name, dataset, settings, paths)
    outcome = publish(dataset, settings, paths, str(runtime.flow_run.id))
    export(outcome, paths)
    create_markdown_artifact(key=f"{dataset}-decision".lower(), markdown=publication.page(outcome))
    return outcome


def run_all(
    datasets: tuple[str, ...], params: str, data: str | None, workdir: str, overrides: tuple[str, ...]
) -> list[dict]:
    """Run the pipeline on each data set in turn, under one Prefect server; their outcomes in the same order."""
    return [pipeline(name, params, data, workdir, overrides) for name in datasets]
