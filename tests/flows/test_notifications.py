"""People hear of a run that failed, was stopped, refused or never began; the run itself ends as it would have."""

import json
import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import yaml
from upath import UPath

from components.datasets.dataset_files import write_dataset
from components.settings.errors import UserError
from components.settings.paths import ROOT
from components.workflow.webhook import SECRET
from tests.components.contract import samples
from tests.receiver import receiver


@pytest.fixture(scope="module")
def prefect_server(quiet_environment):
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=None):
        yield


@pytest.fixture
def posted(prefect_server, tmp_path, monkeypatch):
    """What the webhook of a project was told, as a function that waits for the posts under way."""
    monkeypatch.setenv(SECRET, "between us")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with receiver() as (address, received):
        document = yaml.safe_load((ROOT / "params.yaml").read_text())
        document["notify"]["webhook"] = address
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))

        def posts() -> list[dict]:
            for thread in threading.enumerate():
                if thread.name.startswith("webhook "):
                    thread.join(10)
            return [json.loads(request.body) for request in received]

        yield posts


def test_the_flows_tell():
    from flows.creatives import creatives
    from flows.pipeline import pipeline

    for flow in (pipeline, creatives):
        assert [hook.__name__ for hook in flow.on_failure_hooks + flow.on_crashed_hooks] == ["notify_failure"] * 2
    assert [hook.__name__ for hook in pipeline.on_completion_hooks] == ["notify_outcome"]


def test_a_stopped_validation_is_told(posted, tmp_path):
    from prefect import flow

    from flows.notifications import notify_failure
    from flows.tasks import locate, run_and_show

    @flow(on_failure=[notify_failure])
    def night(dataset: str):
        run_and_show("validation", dataset, *locate(dataset, "params.yaml", None, "artifacts", ()))

    tables = samples.sample()
    spoiled = {**tables, "campaigns": tables["campaigns"].drop(columns="locale")}
    write_dataset(spoiled, samples.card(), UPath(tmp_path / "data" / "sample"))
    with pytest.raises(UserError):
        night("sample")
    (notice,) = posted()
    assert (notice["event"], notice["dataset"]) == ("stopped", "sample")
    assert "no column locale" in notice["reasons"][0] and notice["id"].endswith(":stopped")


def test_another_failure_is_told_as_one_and_a_missing_secret_changes_nothing(posted, monkeypatch):
    from flows.creatives import creatives

    with pytest.raises(UserError, match="needs stage validation"):
        creatives("marketplace")
    assert [notice["event"] for notice in posted()] == ["failed"]
    monkeypatch.delenv(SECRET)
    with pytest.raises(UserError, match="needs stage validation"):
        creatives("marketplace")
    assert len(posted()) == 1


@pytest.mark.parametrize(
    ("action", "event"),
    [("refuse", "refused"), ("abstain", "abstained"), ("wait", "waiting"), ("withdraw", "withdrawn")],
)
def test_an_outcome_that_needs_people_is_told(posted, action, event):
    flow_ending_in({"action": action, "reasons": ["the log has 58 rewarded impressions"]})
    (notice,) = posted()
    assert (notice["event"], notice["reasons"]) == (event, ["the log has 58 rewarded impressions"])


def test_a_promotion_is_no_news(posted):
    flow_ending_in({"action": "promote", "reasons": ["above the margin"]})
    assert posted() == []


def flow_ending_in(outcome: dict) -> None:
    """A run that ends as the pipeline does, with its hook."""
    from prefect import flow

    from flows.notifications import notify_outcome

    @flow(on_completion=[notify_outcome])
    def ending(dataset: str, params: str = "params.yaml") -> dict:
        return outcome

    ending("marketplace")


def test_a_crash_is_told(posted):
    from prefect.client.schemas.objects import FlowRun
    from prefect.states import Crashed

    from flows.notifications import notify_failure

    run = FlowRun(flow_id=uuid4(), name="swift-owl", parameters={"dataset": "marketplace"})
    notify_failure(None, run, Crashed(message="the machine is gone"))
    (notice,) = posted()
    assert (notice["event"], notice["run"], notice["reasons"]) == ("failed", "swift-owl", ["the machine is gone"])
    part = FlowRun(flow_id=uuid4(), name="part", parameters={"dataset": "marketplace"}, parent_task_run_id=uuid4())
    notify_failure(None, part, Crashed(message="the machine is gone"))
    assert len(posted()) == 1, "the run that it is a part of tells of it"


def test_runs_that_cannot_speak_are_told_of_once(posted):
    """Late for want of a worker, cancelled for the one before, taken by nobody, dead: by deployments alone."""
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled, Crashed, Failed, Late

    from flows.watch import notify_missed_runs

    expected = datetime.now(UTC) - timedelta(minutes=20)
    states = [
        Late(scheduled_time=expected),
        Cancelled(message="Deployment concurrency limit reached."),
        Cancelled(message="by hand"),
        Failed(message="no worker of its work pool took this run within half an hour"),
        Crashed(message="no sign of life for 70 s"),
    ]
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name(f"night-{uuid4().hex[:6]}")
        deployment = client.create_deployment(flow_id=flow_id, name="nightly", parameters={"dataset": "marketplace"})
        for state in states:
            run = client.create_flow_run_from_deployment(deployment)
            client.set_flow_run_state(run.id, Late(scheduled_time=expected), force=True)
            client.set_flow_run_state(run.id, state, force=True)
        heard: set[str] = set()
        notify_missed_runs(client, heard)
        notify_missed_runs(client, heard)
    notices = posted()
    assert sorted(notification["event"] for notification in notices) == ["failed", "missed", "missed", "missed"]
    words = " ".join(notification["reasons"][0] for notification in notices)
    assert "Late" in words and "concurrency limit" in words and "took this run" in words and "sign of life" in words
    assert "by hand" not in words


def test_a_server_that_does_not_answer_is_said(prefect_server, monkeypatch):
    from click.testing import CliRunner
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.watch import watch

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        done = CliRunner().invoke(watch, ["--once"])
    assert done.exit_code == 1 and "gave no answer" in done.output
