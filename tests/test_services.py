"""Services: one file lists every setting; PostgreSQL by settings alone; two first starts at once do not race."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.settings.environment import defaults
from components.settings.paths import ROOT
from tests.postgres import PASSWORD, postgres

EXAMPLE = (ROOT / "infra" / "services.env.example").read_text(encoding="utf-8")
LISTED = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if re.match(r"[A-Z_]+=", line))


def test_every_variable_that_adloom_sets_or_reads_is_listed():
    sources = [*(ROOT / "components").rglob("*.py"), *(ROOT / "flows").rglob("*.py"), ROOT / "prefect.yaml"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    read = set(re.findall(r"\b(?:ADLOOM|MLFLOW|PREFECT|DVC|GX|TF)_[A-Z_]*[A-Z]\b", text))
    settings_of_a_child = {
        "MLFLOW_BACKEND_STORE_URI"
    }  # `adloom ui` tells MLflow's server what MLFLOW_TRACKING_URI says
    assert read - settings_of_a_child <= set(LISTED)
    assert set(defaults(Path("/state"))) <= set(LISTED)


def test_the_listed_defaults_are_those_of_the_code():
    ours = {name: value for name, value in defaults(Path("/state")).items() if "/state" not in value}
    assert {name: LISTED[name] for name in ours} == ours


def test_the_example_can_be_read_by_a_shell_and_holds_no_secret():
    done = subprocess.run(["sh", "-euc", f"set -a; . {ROOT / 'infra' / 'services.env.example'}"], capture_output=True)
    assert done.returncode == 0, done.stderr
    for name, value in LISTED.items():
        if re.search(r"PASSWORD|SECRET|KEY|AUTH", name):
            assert value == "", name
        assert "@" not in value or ":CHANGE-ME@" in value, name


def test_the_unit_of_the_server_runs_a_command_that_there_is(tmp_path):
    unit = (ROOT / "infra" / "adloom-serve@.service").read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1].replace("%i", "shop").split()
    assert command[0].endswith("/.venv/bin/adloom")
    folders = ["--data", str(tmp_path / "nowhere"), "--workdir", str(tmp_path)]
    served = [sys.executable, "-m", "components", *command[1:], *folders]
    done = subprocess.run(served, cwd=ROOT, env={**os.environ, "ADLOOM_STATE": str(tmp_path)}, capture_output=True)
    assert done.returncode == 1 and b"nowhere" in done.stderr, done.stderr
    if shutil.which("systemd-analyze"):
        here = unit.replace("/opt/adloom/.venv/bin/adloom", sys.executable).replace("/opt/adloom", str(ROOT))
        (tmp_path / "adloom-serve@shop.service").write_text(re.sub("(?m)^User=.*$", "", here))
        checked = ["systemd-analyze", "verify", str(tmp_path / "adloom-serve@shop.service")]
        done = subprocess.run(checked, capture_output=True, text=True)
        assert done.returncode == 0 and "adloom-serve" not in done.stderr, done.stderr


@pytest.mark.slow
def test_two_first_starts_at_once_on_postgresql_leave_one_whole_database_each(tmp_path):
    import psycopg

    with postgres() as server:
        for name in ("mlflow", "prefect"):
            server.create(name)
        shared = {
            "MLFLOW_TRACKING_URI": server.url("psycopg", "mlflow"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": server.url("asyncpg", "prefect"),
            "PYTHONPATH": str(ROOT),
        }
        starts = [_databases(tmp_path / name, shared) for name in ("one", "two")]
        said = [start.communicate(timeout=300)[0] for start in starts]
        assert [start.returncode for start in starts] == [0, 0], said
        assert PASSWORD not in "".join(said)
        for name, table in (("mlflow", "registered_models"), ("prefect", "flow_run")):
            with psycopg.connect(server.url("psycopg", name).replace("+psycopg", "")) as connection:
                assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)
        assert not [path for path in tmp_path.rglob("*.db")]  # nothing fell back to SQLite


def _databases(folder: Path, shared: dict[str, str]) -> subprocess.Popen:
    """`adloom databases` on a machine of its own, as far as files go."""
    folder.mkdir()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_", "ADLOOM_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "components", "databases"],
        cwd=folder,
        env={**clean, **shared},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
