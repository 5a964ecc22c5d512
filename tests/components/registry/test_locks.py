"""Locks: of a registry, wherever its database is named from, and of a data set's artifacts; always one holder."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.registry.locks import folder_lock, sqlite_file, store_lock
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT

HOLD = """
import sys, time
from pathlib import Path
from components.registry.locks import folder_lock, store_lock
lock = store_lock() if sys.argv[1] == "store" else folder_lock(Path(sys.argv[1]), "`adloom run`")
with lock:
    print("held", flush=True)
    time.sleep(900)
"""


@pytest.fixture
def holder(tmp_path):
    """Starts another process that holds a lock; (what, its environment) -> the process."""
    started = []

    def hold(what: str, **environment: str):
        command = [sys.executable, "-c", HOLD, what]
        process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()


def is_free(within: float) -> bool:
    """Whether a process of its own gets the registry's lock within that many seconds."""
    process = multiprocessing.get_context("fork").Process(target=_take)
    process.start()
    process.join(timeout=within)
    free = process.exitcode == 0
    process.kill()
    process.join()
    return free


def _take() -> None:
    with store_lock():
        os._exit(0)


def test_two_clones_on_one_sqlite_exclude_each_other_by_whatever_name_they_know_it(holder, tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "mlflow.db")
    process = holder(
        "store", MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db", ADLOOM_STATE=str(tmp_path / "one clone")
    )
    import sqlalchemy.engine  # noqa: F401 - once, and not in each process that tries the lock

    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "another"))
    monkeypatch.chdir(tmp_path)
    for name in (f"sqlite:///{tmp_path}/mlflow.db", "sqlite:///mlflow.db", f"sqlite+pysqlite:///{tmp_path}/link.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", name)
        assert not is_free(within=1), name
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert is_free(within=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert is_free(within=60), "the lock ends with its holder"


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////srv/mlflow.db", "/srv/mlflow.db"),
        ("sqlite:////srv/mlflow.db?timeout=5", "/srv/mlflow.db"),
        ("sqlite:///file:/srv/mlflow.db?uri=true", "/srv/mlflow.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
    ],
)
def test_the_file_of_a_database(uri, file):
    assert sqlite_file(uri) == (file and Path(file))


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "https://mlflow", "mysql+pymysql://host/mlflow", "databricks"]
)
def test_a_registry_without_a_lock_is_refused_unless_a_postgresql_is_named(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(
        UserError, match=r"has no lock against two promotions at once, so nothing is charged or moved.*promotion\.lock"
    ):
        store_lock()
    for setting, message in (
        ("mysql://host/locks", "must be a PostgreSQL"),
        ("postgresql://adloom:secret@host/locks", "holds a password; write"),
        ("postgresql://host/locks?password=secret", "holds a password; write"),
        ("postgresql://${NOBODY_SET_THIS}@host/locks", "NOBODY_SET_THIS is not set"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            store_lock(setting)
        assert "secret" not in str(caught.value)


def test_a_run_on_a_server_is_refused_before_any_work(tmp_path, monkeypatch):
    from components.settings.paths import Paths
    from components.workflow.publishing.publication import snapshot

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "params.yaml").write_text("{}")
    with pytest.raises(UserError, match=r"an MLflow server \(http\).*set promotion\.lock"):
        snapshot("shop", load_settings(tmp_path / "params.yaml", "shop"), Paths.of("shop", workdir=str(tmp_path)))


def test_the_lock_is_no_part_of_what_is_asked(tmp_path):
    (tmp_path / "params.yaml").write_text("promotion: {lock: 'postgresql://${NAME}@host/locks'}")
    config = load_settings(tmp_path / "params.yaml", "shop").promotion
    assert config.lock == "postgresql://${NAME}@host/locks" and "lock" not in config.model_dump()


def test_a_second_process_in_a_data_sets_artifacts_is_refused_and_told_who_works_there(holder, tmp_path):
    artifacts = tmp_path / "artifacts" / "shop"
    process = holder(str(artifacts))
    with (
        pytest.raises(UserError, match=rf"artifacts/shop: `adloom run` \(process {process.pid} on .*try again when"),
        folder_lock(artifacts, "`adloom promote`"),
    ):
        pass
    with folder_lock(tmp_path / "artifacts" / "another", "`adloom run`"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with folder_lock(artifacts, "`adloom promote`"), folder_lock(artifacts, "an export"):
        assert json.loads((artifacts.parent / ".shop.lock").read_text())["pid"] == os.getpid()


def test_commands_do_not_interleave_with_a_run(holder, tmp_path):
    (tmp_path / "params.yaml").write_text("{}")
    process = holder(str(tmp_path / "artifacts" / "shop"))
    for words in (["promote", "shop"], ["rollback", "shop"], ["stage", "validation", "--dataset", "marketplace"]):
        folder = "shop" if "shop" in words else "marketplace"
        if folder == "marketplace":
            process = holder(str(tmp_path / "artifacts" / folder))
            (tmp_path / "params.yaml").write_text("datasets: {marketplace: {}}")
        done = subprocess.run(
            [sys.executable, "-m", "components", *words],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 1 and f"`adloom run` (process {process.pid}" in done.stderr, done.stderr


def test_a_server_with_a_named_postgresql_is_locked_by_it(monkeypatch):
    from tests.postgres import PASSWORD, postgres

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("LOCK_PASSWORD", PASSWORD)
    with postgres() as server:
        setting = server.url("psycopg").replace(PASSWORD, "${LOCK_PASSWORD}")
        process = multiprocessing.get_context("fork").Process(target=_hold_setting, args=(setting,))
        with store_lock(setting):
            process.start()
            process.join(timeout=2)
            assert process.is_alive()
        deadline = time.monotonic() + 20
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.exitcode == 0


def _hold_setting(setting: str) -> None:
    with store_lock(setting):
        os._exit(0)
