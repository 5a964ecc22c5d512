"""The command itself, as a process: alone on its journal, and back after a kill with all that it acknowledged."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager

import pytest

from components.serving.journal import FILE, connect
from components.settings.paths import ROOT
from tests.components.serving.scene import write_shop

PATIENCE = 120.0  # seconds; MLflow's first import alone takes ten


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port: int, path: str, body: dict | None = None) -> dict:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "components", "serve", "shop", "--port", str(port)]


@contextmanager
def server(folder, port: int):
    """A running server, killed at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ADLOOM_STATE": str(folder / "state")}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    process = subprocess.Popen(command(port), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        begun = time.monotonic()
        while True:
            try:
                assert ask(port, "/readyz")["reason"] == "shop has no champion"
                break
            except urllib.error.URLError:
                assert process.poll() is None and time.monotonic() < begun + PATIENCE, process.stdout.read()
                time.sleep(0.2)
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_the_server_loads_nothing_heavy():
    """TensorFlow alone takes half a gigabyte; a champion whose model is a network loads it."""
    heavy = ("tensorflow", "keras", "sklearn", "duckdb", "matplotlib")
    code = f"import sys, components.serving.http_api.http_app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_killed_server_comes_back_with_all_that_it_acknowledged(tmp_path):
    write_shop(tmp_path / "data" / "shop", bid=1000.0)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    answered, port = [], free_port()
    with server(tmp_path, port):
        second = subprocess.run(command(free_port()), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                                capture_output=True, text=True, timeout=PATIENCE, check=False)  # fmt: skip
        assert second.returncode == 1 and "`adloom serve shop` (process" in second.stderr, second.stderr
        for _ in range(20):
            answered += ask(port, "/decide", {"requests": [{"campaign": "c"}] * 5})["decisions"]
        shown = {"type": "impression", "decision_id": answered[0]["decision_id"]}
        assert ask(port, "/track", {"events": [shown]})["results"][0]["status"] == "stored"
    with server(tmp_path, port):
        known = [{"type": "impression", "decision_id": decision["decision_id"]} for decision in answered]
        results = ask(port, "/track", {"events": known})["results"]
    assert [result["status"] for result in results] == ["duplicate"] + ["stored"] * 99
    with closing(connect(tmp_path / "artifacts" / "shop" / "serving" / FILE)) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT decision_id) FROM decisions").fetchone() == (
            100,
            100,
        )
        spending = connection.execute("SELECT campaign, sum(impressions), sum(spent) FROM campaign_spending").fetchone()
    assert spending == ("c", 100, 100_000_000), "one before the kill, the others after it, at 1 each"
