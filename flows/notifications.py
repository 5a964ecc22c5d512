"""Hooks that notify the team's webhook of the end of a flow run; a run neither waits for them nor fails with them."""

from prefect.client.schemas.objects import State
from prefect.logging import get_logger

from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import NotifyConfig
from components.workflow.webhook import Notification, post_in_background
from flows.tasks import IN_STAGE

# by action of an outcome
EVENTS = {"refuse": "refused", "abstain": "abstained", "wait": "waiting", "withdraw": "withdrawn"}


def notify_failure(flow, flow_run, state: State) -> None:
    """For on_failure and on_crashed: the event `stopped` if validation refused the data, else `failed`."""
    if flow_run.parent_task_run_id is not None:  # the parent run notifies
        return
    error = None if state.is_crashed() else state.result(raise_on_failure=False)
    at_validation = IN_STAGE.format("validation") in getattr(error, "__notes__", ())
    event = "stopped" if at_validation and isinstance(error, UserError) else "failed"
    reason = str(error) if isinstance(error, BaseException) else state.message or state.name
    notify(flow_run, event, (reason,))


def notify_outcome(flow, flow_run, state: State) -> None:
    """For on_completion: notify if a candidate was refused, not judged or waits, or a refit no longer acts."""
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, dict) and outcome["action"] in EVENTS:
        notify(flow_run, EVENTS[outcome["action"]], tuple(outcome["reasons"]))


def notify(flow_run, event: str, reasons: tuple[str, ...]) -> None:
    """Post in the background with the settings of the run's parameters; if they cannot be read, log a warning."""
    dataset = str(flow_run.parameters.get("dataset", ""))
    try:
        config = notification_settings(flow_run.parameters)
    except Exception as error:
        get_logger("adloom").warning("no notification of %s was sent: %s", flow_run.name, error)
        return
    post_in_background(Notification(f"{flow_run.id}:{event}", event, dataset, flow_run.name, reasons), config)


def notification_settings(parameters: dict) -> NotifyConfig:
    """The section `notify` of the settings of a run with these parameters."""
    overrides = tuple(parameters.get("overrides") or ())
    return load_settings(parameters.get("params", "params.yaml"), parameters.get("dataset", ""), overrides).notify
