"""prefect.yaml and infra/ say what they promise: flows that exist, parameters that fit, no deployer's folder, GPUs."""

import importlib
import inspect
import json
from zoneinfo import ZoneInfo

import pytest
import yaml

from components.settings.paths import ROOT

DECLARED = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS = {deployment["name"]: deployment for deployment in DECLARED["deployments"]}
TEMPLATES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "infra").glob("*.json")}

each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=list(DEPLOYMENTS))


def flow_of(deployment):
    file, _, name = deployment["entrypoint"].partition(":")
    return getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)


def test_the_chain_runs_on_the_cpu_pool_and_the_generators_on_the_gpu_pool():
    pools = {flow_of(deployment).name: deployment["work_pool"]["name"] for deployment in DEPLOYMENTS.values()}
    assert pools == {"pipeline": "cpu", "creatives": "gpu"}
    assert DEPLOYMENTS["nightly"]["schedules"][0].get("active", True)


@each_deployment
def test_parameters_fit_the_flow(deployment):
    inspect.signature(flow_of(deployment).fn).bind(**deployment["parameters"])


def test_what_was_served_joins_the_log_before_the_first_stage_if_a_run_says_so(tmp_path, monkeypatch):
    from flows import pipeline as module

    done = []
    monkeypatch.setattr(
        module, "collect", lambda dataset, data, folder, settings, now: done.append((str(data), folder))
    )
    monkeypatch.setattr(module, "_run", lambda *_: done.append("the stages") or {})
    for collect_served in (False, True):
        module.pipeline.fn("shop", str(ROOT / "params.yaml"), workdir=str(tmp_path), collect_served=collect_served)
    assert done == ["the stages", ("data/shop", tmp_path / "shop" / "serving"), "the stages"]


def test_dates_and_windows_are_parameters_of_a_run():
    from flows.pipeline import pipeline
    from flows.tasks import dated, locate

    inspect.signature(pipeline.fn).bind("marketplace", as_of="2026-01-26", window_days=14, attribution_days=3)
    overrides = dated(("evaluation.bootstrap=50",), "2026-01-26", 14, 3)
    settings, _ = locate("marketplace", str(ROOT / "params.yaml"), None, "artifacts", overrides)
    assert f"{settings.validation.as_of:%Y-%m-%d}" == "2026-01-26" and settings.evaluation.bootstrap == 50
    assert (settings.validation.window_days, settings.validation.attribution_days) == (14, 3)
    assert dated((), None, None, None) == ()


@each_deployment
def test_one_run_at_a_time_with_a_limit_and_a_schedule_in_a_real_time_zone(deployment):
    from prefect.client.schemas.schedules import CronSchedule

    # a night that overlaps the next one costs that one; an order for the GPU pool is somebody's night, and waits
    strategy = {"nightly": "CANCEL_NEW", "gpu": "ENQUEUE"}[deployment["name"]]
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": strategy}
    assert 0 < flow_of(deployment).timeout_seconds < 24 * 3600
    for schedule in deployment["schedules"]:
        assert ZoneInfo(schedule["timezone"])
        assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])


def test_the_deployers_folder_is_not_baked_in():
    """An omitted pull step would be: the worker's own environment names the clone."""
    steps = [step for entry in DECLARED["pull"] for step in entry]
    assert steps[-1] == "prefect.deployments.steps.set_working_directory"
    assert str(ROOT) not in (ROOT / "prefect.yaml").read_text(encoding="utf-8")
    assert not any("pull" in deployment for deployment in DEPLOYMENTS.values())


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_declares_every_variable_that_it_uses(name):
    from prefect.utilities.templating import find_placeholders

    used = {place.name for place in find_placeholders(TEMPLATES[name]["job_configuration"])}
    assert used == set(TEMPLATES[name]["variables"]["properties"])


def test_gpu_templates_ask_for_a_gpu():
    assert set(TEMPLATES) == {"process", "docker-gpu", "kubernetes-gpu"}
    (request,) = TEMPLATES["docker-gpu"]["job_configuration"]["container_create_kwargs"]["device_requests"]
    assert request["capabilities"] == [["gpu"]]
    job = TEMPLATES["kubernetes-gpu"]["job_configuration"]["job_manifest"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "{{ gpus }}"
    assert job["activeDeadlineSeconds"] == "{{ deadline }}"


@each_deployment
@pytest.mark.parametrize(("first", "days"), [("2027-03-26", 5), ("2027-10-29", 5)], ids=["spring", "autumn"])
def test_a_clock_that_jumps_with_the_season_neither_skips_nor_doubles_a_night(deployment, first, days):
    import asyncio
    from datetime import datetime

    from prefect.server.schemas.schedules import CronSchedule

    (schedule,) = deployment["schedules"]
    zone = ZoneInfo(schedule["timezone"])
    minute, hour, *_ = schedule["cron"].split()
    daily = CronSchedule(cron=f"{minute} {hour} * * *", timezone=schedule["timezone"])
    dates = asyncio.run(daily.get_dates(n=days, start=datetime.fromisoformat(f"{first}T12:00:00+00:00")))
    local = [moment.astimezone(zone) for moment in dates]
    assert [time.hour for time in local] == [int(hour)] * days
    assert len({time.date() for time in local}) == days
