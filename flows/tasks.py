"""One Prefect task per stage, and the stage's pages on the flow run."""

import base64
import re

from prefect import task
from prefect.artifacts import create_image_artifact, create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from components.contract.files.digests import digest_bytes
from components.settings.environment import prepare
from components.settings.errors import Unavailable, UserError
from components.settings.params_file import load_settings
from components.settings.paths import STAGES, Paths
from components.settings.sections import Settings
from components.workflow import run_stage
from components.workflow.run_stage import checked

IN_STAGE = "in stage {}"  # the note on an error of a stage


def _worth_retrying(task, task_run, state) -> bool:
    """Whether the task failed with an error of files or networks, which may pass."""
    return isinstance(_error_of(state), OSError)


def not_a_mistake(task, task_run, state) -> bool:
    """Whether the task failed with an error that may pass: any but a user's mistake."""
    error = _error_of(state)
    return isinstance(error, Unavailable) or (isinstance(error, Exception) and not isinstance(error, UserError))


def _error_of(state):
    """The error of a failed task, or the result of a completed one."""
    return state.result(raise_on_failure=False)


RETRIED = {
    "cache_policy": NO_CACHE,
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_condition_fn": not_a_mistake,
}


def _stage_task(name: str):
    @task(name=name, cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=_worth_retrying)
    def stage(settings: Settings, paths: Paths) -> bool:
        """Run the stage unless nothing that it depends on has changed; whether it ran."""
        try:
            return run_stage.run(name, settings, paths)
        except Exception as error:
            error.add_note(IN_STAGE.format(name))  # the notification reads it
            raise

    return stage


TASKS = {name: _stage_task(name) for name in STAGES}


def locate(dataset: str, params: str, data: str | None, workdir: str, overrides: tuple[str, ...]):
    """The settings and folders of `dataset`, from a flow's parameters, after preparing the worker's environment."""
    prepare()
    return checked(load_settings(params, dataset, tuple(overrides))), Paths.of(dataset, data, workdir)


def dated(
    overrides: tuple[str, ...], as_of: str | None, window_days: int | None, attribution_days: int | None
) -> tuple[str, ...]:
    """`overrides` with the run's dates and windows that are not None."""
    values = {"as_of": as_of, "window_days": window_days, "attribution_days": attribution_days}
    return (*overrides, *(f"validation.{name}={value}" for name, value in values.items() if value is not None))


def run_and_show(name: str, dataset: str, settings: Settings, paths: Paths) -> None:
    """Run the task of stage `name` and show its page on the flow run."""
    TASKS[name](settings, paths)
    page = paths.docs / f"{name}.md"
    if not page.exists():
        again = f"adloom stage {name} --dataset {dataset} --force"
        raise UserError(f"{page}: the page of stage {name} is missing; run `{again}`")
    create_markdown_artifact(key=artifact_key(dataset, name), markdown=page.read_text(encoding="utf-8"))
    for chart in sorted((paths.stage(name) / "charts").glob("*.png")):
        create_image_artifact(
            key=artifact_key(dataset, chart.stem), image_url=_data_url(chart.read_bytes()), description=chart.stem
        )
    index = paths.docs / "data_docs" / "index.html"
    if name == "validation" and index.exists():
        create_link_artifact(
            key=artifact_key(dataset, "data-docs"), link=index.resolve().as_uri(), link_text="Data Docs of this run"
        )


def artifact_key(*parts: str) -> str:
    """A valid key for Prefect (lower-case letters, digits and dashes), different for each name.

    A name with other characters is shortened to the valid ones, and a digest is added.
    """
    name = "-".join(parts)
    if re.fullmatch("[a-z0-9-]{1,200}", name):
        return name
    readable = re.sub("[^a-z0-9]+", "-", name.lower())[:100].strip("-")
    return f"{readable}-{digest_bytes(name.encode())[:12]}"


def _data_url(png: bytes) -> str:
    """The image as a data URL, because the server has no access to the run's folders."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
