"""`python -m flows.watch`: notifies the webhook of runs that never began or died, and so send nothing themselves.

It runs next to Prefect's server, in a clone, and needs no worker, because a missing worker is one of the faults that it
reports. A notification may come twice (after a restart, or from the run itself); its `id` is then the same.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from components.contract.escaping import terminal
from components.settings.environment import prepare
from components.settings.errors import UserError

EVERY = 60  # seconds
SINCE = timedelta(hours=24)
OVERLAP = "concurrency limit"  # in the message of a run that was cancelled because the one before was still running


@click.command()
@click.option("--once", is_flag=True, help="Look once, notify, and end; for cron.")
@click.option("--every", type=click.IntRange(5, 3600), default=EVERY, show_default=True, help="Seconds between looks.")
def watch(once: bool, every: int) -> None:
    """Notify the webhook of scheduled runs that did not begin and of runs that died."""
    prepare()
    from prefect.client.orchestration import get_client

    sent: set[str] = set()
    while True:
        try:
            with get_client(sync_client=True) as client:
                notify_missed_runs(client, sent)
        except Exception as error:
            if once:
                raise click.ClickException(f"Prefect's server gave no answer: {type(error).__name__}") from None
            click.echo(f"Prefect's server gave no answer: {type(error).__name__}; looking again in {every} s", err=True)
        if once:
            return
        time.sleep(every)


def notify_missed_runs(client, sent: set[str]) -> None:
    """Post a notification of each of `missed_runs` whose id is not in `sent`, and add those that were accepted."""
    from components.workflow.webhook import Notification, post
    from flows.notifications import notification_settings

    for run, event, reason in missed_runs(client, datetime.now(UTC) - SINCE):
        dataset = str(run.parameters.get("dataset", ""))
        notification = Notification(f"{run.id}:{event}", event, dataset, run.name, (reason,))
        if notification.id in sent:
            continue
        try:
            post(notification, notification_settings(run.parameters))
        except UserError as error:
            click.echo(str(error), err=True)
            continue
        sent.add(notification.id)
        click.echo(terminal(f"{event}: {run.name}: {reason}"))


def missed_runs(client, since: datetime) -> Iterator[tuple]:
    """(run, event, reason) of each deployed run that was due after `since` and did not run or crashed.

    It is late, was cancelled because the one before was still running, failed before it began, or crashed.
    """
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType

    states = [state.value for state in (StateType.SCHEDULED, StateType.CANCELLED, StateType.FAILED, StateType.CRASHED)]
    run_filter = FlowRunFilter(
        state={"type": {"any_": states}},
        expected_start_time={"after_": since, "before_": datetime.now(UTC)},
        parent_task_run_id={"is_null_": True},
    )
    for run in client.read_flow_runs(flow_run_filter=run_filter, limit=200):
        if run.deployment_id is None:
            continue
        state = run.state
        expected = f"due at {run.expected_start_time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if state.name in ("Late", "AwaitingConcurrencySlot"):
            yield run, "missed", f"{expected}, and has not begun: {state.name}, work pool {run.work_pool_name}"
        elif state.is_cancelled() and OVERLAP in (state.message or ""):
            yield run, "missed", f"{expected}, and was cancelled: {state.message}"
        elif state.is_failed() and run.run_count == 0:
            yield run, "missed", f"{expected}, and never began: {state.message}"
        elif state.is_crashed():
            yield run, "failed", state.message or "crashed"


if __name__ == "__main__":
    watch()
