"""What a flow run ends in -> a notice to the team's webhook. Hooks only: a run neither waits for nor fails by one."""

from prefect.client.schemas.objects import State
from prefect.logging import get_logger

from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import NotifyConfig
from components.workflow.notices import Notice, post_aside
from flows.tasks import IN_STAGE

TOLD = {"refuse": "refused", "abstain": "abstained", "wait": "waiting"}  # actions of an outcome, and their events


def tell_failure(flow, flow_run, state: State) -> None:
    """For on_failure and on_crashed: `stopped` where validation could not take the data, else `failed`."""
    if flow_run.parent_task_run_id is not None:  # the run that this one is a part of tells of it
        return
    error = None if state.is_crashed() else state.result(raise_on_failure=False)
    at_validation = IN_STAGE.format("validation") in getattr(error, "__notes__", ())
    event = "stopped" if at_validation and isinstance(error, UserError) else "failed"
    reason = str(error) if isinstance(error, BaseException) else state.message or state.name
    tell(flow_run, event, (reason,))


def tell_outcome(flow, flow_run, state: State) -> None:
    """For on_completion: a challenger that was refused, could not be judged, or waits for a person."""
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, dict) and outcome["action"] in TOLD:
        tell(flow_run, TOLD[outcome["action"]], tuple(outcome["reasons"]))


def tell(flow_run, event: str, reasons: tuple[str, ...]) -> None:
    """Post aside, by the settings that the run's own parameters name; where those cannot be read, nobody is known."""
    dataset = str(flow_run.parameters.get("dataset", ""))
    try:
        config = notify_settings(flow_run.parameters)
    except Exception as error:
        get_logger("adloom").warning("no notice of %s was sent: %s", flow_run.name, error)
        return
    post_aside(Notice(f"{flow_run.id}:{event}", event, dataset, flow_run.name, reasons), config)


def notify_settings(parameters: dict) -> NotifyConfig:
    """The section `notify` of the settings that a run with these parameters has."""
    overrides = tuple(parameters.get("overrides") or ())
    return load_settings(parameters.get("params", "params.yaml"), parameters.get("dataset", ""), overrides).notify
