"""The Compose file, as far as a machine without an engine can check it: its form, commands, variables and settings."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from tests.test_services import LISTED

FILE = ROOT / "infra" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
OWN_VARIABLES = {"ADLOOM_POSTGRES_PASSWORD", "ADLOOM_DATASET"}  # of the Compose file alone
KEYS = {
    "build", "command", "depends_on", "entrypoint", "env_file", "environment", "healthcheck", "image", "init",
    "network_mode", "ports", "restart", "stop_grace_period", "volumes", "working_dir",
}  # fmt: skip


def test_every_service_is_of_a_known_form_and_waits_for_services_that_there_are():
    assert set(COMPOSE) == {"name", "x-adloom", "services", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name
        for other, how in service.get("depends_on", {}).items():
            one_shot = "restart" not in SERVICES[other]
            assert how["condition"] == ("service_completed_successfully" if one_shot else "service_healthy"), name
            assert one_shot or "healthcheck" in SERVICES[other], other
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] if "/" not in source else (FILE.parent / source).is_file()
    assert set(OURS) == {"databases", "prefect", "pools", "deployments", "worker", "serve"}
    for service in OURS.values():
        assert (FILE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_nothing_listens_beyond_this_machine_and_no_secret_is_written_down():
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "--host" not in service.get("command", [])
    text = FILE.read_text(encoding="utf-8")
    assert re.findall(r"PASSWORD: (.*)", text) == ["${ADLOOM_POSTGRES_PASSWORD:?choose a password}"]
    assert set(re.findall(r"://adloom:([^@]*)@", text)) == {"${ADLOOM_POSTGRES_PASSWORD:?choose a password}"}
    ignored = subprocess.run(["git", "check-ignore", "-q", "infra/services.env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0 and "infra/services.env" in (ROOT / "infra/Dockerfile.dockerignore").read_text()


def test_every_variable_is_one_that_adloom_knows():
    for name, service in OURS.items():
        assert set(service["environment"]) <= set(LISTED), name
    assert set(re.findall(r"\$\{(\w+)", FILE.read_text(encoding="utf-8"))) == OWN_VARIABLES
    urls = OURS["serve"]["environment"]
    for name, database in (("MLFLOW_TRACKING_URI", "mlflow"), ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "prefect")):
        assert urls[name].replace("${ADLOOM_POSTGRES_PASSWORD:?choose a password}", "CHANGE-ME") == LISTED[name]
        assert f"CREATE DATABASE {database};" in (FILE.parent / "postgres-databases.sql").read_text()
    assert urls["PREFECT_API_URL"] == LISTED["PREFECT_API_URL"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_is_one_that_there_is_with_these_options(name, tmp_path):
    command = OURS[name]["command"]
    words = [word for word in command if not word.startswith("-")]
    depth = {"adloom": 2, "python": 1, "prefect": 3 if words[1] in ("work-pool", "worker") else 2}[words[0]]
    program = {"adloom": ["-m", "components"], "prefect": ["-m", "prefect"], "python": ["-m", "flows.server"]}[words[0]]
    asked = [sys.executable, *program, *words[1:depth], "--help"]
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path), "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for option in (word for word in command if word.startswith("--") and word != "--no-prompt"):
        assert option in done.stdout, option
    for file in (word for word in command if word.startswith("infra/")):
        assert json.loads((ROOT / file).read_text())


def test_the_topics_that_are_read_are_those_that_are_made():
    setting = OURS["serve"]["command"][-1]
    assert OURS["serve"]["command"][-2] == "--set"
    kafka = load_settings(str(ROOT / "params.yaml"), "marketplace", (setting,)).serving.kafka
    made = re.search(r"for topic in (.*); do", SERVICES["topics"]["command"][0])[1].split()
    read = {kafka.topics.behaviour, kafka.topics.impressions, kafka.topics.clicks, kafka.topics.conversions}
    named = read | {kafka.topics.feedback, kafka.dead_letters, kafka.served}
    assert named == {f"adloom.{topic}" for topic in made}
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert advertised == f"PLAINTEXT://{kafka.bootstrap_servers}"
