"""`python -m flows.watch`: tells the webhook of runs that cannot tell of themselves, for they never began or died.

Runs next to Prefect's server, in a clone, and needs no worker: that there is none is what it is for. A notice may come
twice (after a restart, or from a dying run's own hook); its `id` is then the same.
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
OVERLAP = "concurrency limit"  # in the message of a run that was cancelled because the one before was still going


@click.command()
@click.option("--once", is_flag=True, help="Look once, tell, and end; for cron.")
@click.option("--every", type=click.IntRange(5, 3600), default=EVERY, show_default=True, help="Seconds between looks.")
def watch(once: bool, every: int) -> None:
    """Tell the webhook of schedules that were missed and of runs that died without a word."""
    prepare()
    from prefect.client.orchestration import get_client

    told: set[str] = set()
    while True:
        try:
            with get_client(sync_client=True) as client:
                tell_unheard(client, told)
        except Exception as error:
            if once:
                raise click.ClickException(f"Prefect's server gave no answer: {type(error).__name__}") from None
            click.echo(f"Prefect's server gave no answer: {type(error).__name__}; looking again in {every} s", err=True)
        if once:
            return
        time.sleep(every)


def tell_unheard(client, told: set[str]) -> None:
    """Post a notice of each run that `unheard` finds and `told` does not hold, and add it there once it was taken."""
    from components.workflow.notices import Notice, post
    from flows.notices import notify_settings

    for run, event, reason in unheard(client, datetime.now(UTC) - SINCE):
        notice = Notice(f"{run.id}:{event}", event, str(run.parameters.get("dataset", "")), run.name, (reason,))
        if notice.id in told:
            continue
        try:
            post(notice, notify_settings(run.parameters))
        except UserError as error:
            click.echo(str(error), err=True)
            continue
        told.add(notice.id)
        click.echo(terminal(f"{event}: {run.name}: {reason}"))


def unheard(client, since: datetime) -> Iterator[tuple]:
    """(run, event, reason) of each deployed run that was due since then and is late, was cancelled for the one before,
    failed before it began, or crashed."""
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType

    states = [state.value for state in (StateType.SCHEDULED, StateType.CANCELLED, StateType.FAILED, StateType.CRASHED)]
    wanted = FlowRunFilter(
        state={"type": {"any_": states}},
        expected_start_time={"after_": since, "before_": datetime.now(UTC)},
        parent_task_run_id={"is_null_": True},
    )
    for run in client.read_flow_runs(flow_run_filter=wanted, limit=200):
        if run.deployment_id is None:
            continue
        state = run.state
        due = f"due at {run.expected_start_time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if state.name in ("Late", "AwaitingConcurrencySlot"):
            yield run, "missed", f"{due}, and has not begun: {state.name}, work pool {run.work_pool_name}"
        elif state.is_cancelled() and OVERLAP in (state.message or ""):
            yield run, "missed", f"{due}, and was cancelled: {state.message}"
        elif state.is_failed() and run.run_count == 0:
            yield run, "missed", f"{due}, and never began: {state.message}"
        elif state.is_crashed():
            yield run, "failed", state.message or "crashed"


if __name__ == "__main__":
    watch()
