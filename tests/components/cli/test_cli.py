"""The command line as a user meets it: help at once, one clear sentence for a mistake, nothing lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from components import cli
from components.settings.paths import ROOT

cli._collect()
BY_HAND = ("promote", "reject", "rollback", "sign")
COMMANDS = (
    *("run", "data", "stage", "generate", "creatives", "evaluate", "status", "export"),
    *(*BY_HAND, "serve", "databases", "ui"),
)


def adloom(*arguments: str):
    return CliRunner().invoke(cli.adloom, list(arguments))


def fails(*arguments: str) -> str:
    """The message of a command that must fail without a traceback."""
    result = adloom(*arguments)
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output


def test_every_command_of_the_design_is_there():
    assert set(cli.adloom.commands) == set(COMMANDS)
    assert {"build", "verify", "add"} <= set(cli.adloom.commands["data"].commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = adloom(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) >= 4


def test_help_imports_nothing_heavy():
    code = "import sys; from components.cli import main, _collect; _collect(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for heavy in ("pandas", "numpy", "mlflow", "prefect", "tensorflow", "sklearn", "great_expectations", "duckdb"):
        assert f"'{heavy}'" not in done.stdout


def test_a_server_for_other_machines_needs_a_key(shop, monkeypatch):
    monkeypatch.delenv("ADLOOM_SERVING_KEY", raising=False)
    assert "--host 0.0.0.0: other machines could ask; set ADLOOM_SERVING_KEY" in fails(
        "serve", "marketplace", "--host", "0.0.0.0"
    )


def test_an_unknown_setting_data_set_or_stage_is_named(shop):
    assert "bootstrp" in fails("run", "marketplace", "--set", "evaluation.bootstrp=5")
    assert "supermarket: no such data set" in fails("run", "supermarket")
    assert "cooking: no such stage" in fails("stage", "cooking", "--dataset", "marketplace")
    assert "supermarket" in fails("data", "build", "supermarket")


def test_a_wrong_value_in_params_is_named(shop):
    text = (shop.folder / "params.yaml").read_text()
    (shop.folder / "params.yaml").write_text(text.replace("max_quarantined: 0.01", "max_quarantined: much"))
    message = fails("stage", "validation", "--dataset", "marketplace")
    assert "validation.max_quarantined" in message
    assert "'much'" in message


def test_a_stage_without_the_one_before_it_says_which(shop):
    assert "needs stage validation" in fails("stage", "features", "--dataset", "marketplace")


def test_own_data_needs_a_card_and_a_name_of_its_own(shop):
    assert "dataset.yaml: no such file" in fails("run", "--data", str(shop.folder))
    copy = shop.folder / "copy"
    (shop.data).rename(copy)
    assert "comes with Adloom" in fails("run", "--data", str(copy))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: (data / "campaigns.parquet").unlink(), ["campaigns", "no file"]),
        (lambda data: (data / "campaigns.parquet").write_bytes(b""), ["campaigns", "empty"]),
        (lambda data: (data / "campaigns.parquet").rename(data / "campaigns.csv"), ["campaigns", "Parquet"]),
        (
            lambda data: (data / "creatives.parquet").write_bytes((data / "creatives.parquet").read_bytes()[:900]),
            ["creatives", "truncated"],
        ),
    ],
    ids=["missing", "empty", "csv", "truncated"],
)
def test_a_bad_table_stops_the_run_and_nothing_earlier_is_lost(shop, spoil, words):
    earlier = shop.folder / "artifacts" / "marketplace" / "validation" / "report.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("{}")
    spoil(shop.data)
    message = fails("stage", "validation", "--dataset", "marketplace")
    for word in words:
        assert word in message
    assert earlier.read_text() == "{}"


def test_evaluate_reads_csv_and_prints_the_designs_json(tmp_path):
    rows = [f"i{number},{'ab'[number % 2]},0.5,{int(number % 5 == 0)}" for number in range(400)]
    (tmp_path / "log.csv").write_text("impression_id,action,propensity,reward\n" + "\n".join(rows))
    pairs = [f"i{number},{action},0.5" for number in range(400) for action in "ab"]
    (tmp_path / "target.csv").write_text("impression_id,action,probability\n" + "\n".join(pairs))
    result = adloom("evaluate", "--log", str(tmp_path / "log.csv"), "--target", str(tmp_path / "target.csv"), "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout.splitlines()[-1])
    assert record["n"] == 400
    assert {estimate["estimator"] for estimate in record["estimates"]} >= {"ips", "snips", "dm", "dr"}
    assert record["verdict"] in ("trust", "abstain")


@pytest.mark.parametrize("hour", ["24", "-1", "noon"])
def test_generate_refuses_an_hour_that_no_clock_has(tmp_path, hour):
    message = fails("generate", "shop", "--hour", hour, "--out", str(tmp_path / "ads"))
    assert "'--hour'" in message and hour in message
    assert not (tmp_path / "ads").exists()


def test_generate_refuses_a_seed_that_draws_nothing(tmp_path):
    message = fails("generate", "shop", "--seed", "-1", "--out", str(tmp_path / "ads"))
    assert "'--seed'" in message and "x>=0" in message
    assert not (tmp_path / "ads").exists()


def test_evaluate_names_a_missing_file(tmp_path):
    assert "nowhere.csv" in fails("evaluate", "--log", "nowhere.csv", "--target", "nowhere.csv")


def test_status_without_any_run_says_none(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")  # other tests share the session's store
    result = adloom("status", "marketplace", "--json")
    assert result.exit_code == 0, result.output
    assert all(row["champion"] is None for row in json.loads(result.stdout.splitlines()[-1]))
    assert "no champion to roll back" in fails("rollback", "marketplace")
    assert "no challenger" in fails("promote", "marketplace")


def test_who_promotes_must_be_known(shop, monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr("getpass.getuser", nobody)
    for command in ("promote", "rollback"):
        result = adloom(command, "marketplace")
        assert result.exit_code == 2
        assert "say who decides: --by NAME" in result.output
    assert "no champion to roll back" in fails("rollback", "marketplace", "--by", "ann")


@pytest.mark.parametrize("width", [40, 71, 72, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken(width, monkeypatch, capsys):
    from components.cli.summary import print_status

    monkeypatch.setenv("COLUMNS", str(width))
    lift = {"value": 0.00047, "ci_low": 0.00027, "ci_high": 0.00068}
    row = {"model": "marketplace-interest", "champion": 12, "challenger": None, "decision": "promote", "lift": lift}
    row |= {"latest": 12, "reasons": "the lower bound is above the margin", "unit": "conversions", "refit": 19}
    print_status([row])
    shown = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= min(width, 80)
    for word in (
        "marketplace-interest",
        "v12",
        "none",
        "promote",
        "champion",
        "challenger",
        "+0.47",
        "conversions",
        "v19",
    ):
        assert word in shown


def test_a_wrong_prefect_address_is_named(shop):
    """In a process of its own: Prefect reads its address when it is imported."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-m", "components", "run", "marketplace"]
    done = subprocess.run(command, cwd=shop.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "adloom: PREFECT_API_URL: no Prefect server answers at http://127.0.0.1:9/api" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (shop.folder / "artifacts").exists()


def free_ports(count: int) -> list[int]:
    ports = []
    for _ in range(count):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return ports


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Ports of Prefect, MLflow and TensorBoard as `adloom ui` serves them."""
    import requests

    ports = free_ports(3)
    command = [
        sys.executable,
        "-m",
        "components",
        "ui",
        "--prefect-port",
        str(ports[0]),
        "--mlflow-port",
        str(ports[1]),
        "--tensorboard-port",
        str(ports[2]),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ui = subprocess.Popen(
        command, cwd=tmp_path_factory.mktemp("ui"), env=environment, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    for path, port in (("api/health", ports[0]), ("health", ports[1]), ("data/environment", ports[2])):
        while time.monotonic() < deadline:
            try:
                if requests.get(f"http://127.0.0.1:{port}/{path}", timeout=5).ok:
                    break
            except requests.RequestException:
                time.sleep(0.5)
    yield ports
    ui.send_signal(signal.SIGTERM)
    ui.wait(timeout=60)


FOREIGN = [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}, {"Host": "evil.example:80"}]


@pytest.mark.slow
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_can_do_nothing(pages, headers):
    import requests

    prefect, mlflow, board = pages
    assert requests.get(f"http://127.0.0.1:{board}/data/runs", headers=headers, timeout=30).status_code == 403
    made = requests.post(f"http://127.0.0.1:{prefect}/api/flows/", json={"name": "evil"}, headers=headers, timeout=30)
    assert made.status_code == 403 and "access-control-allow-origin" not in made.headers
    read = requests.get(f"http://127.0.0.1:{prefect}/api/csrf-token?client=evil", headers=headers, timeout=30)
    assert read.status_code == 403
    body = {"name": f"evil-{headers}"}
    url = f"http://127.0.0.1:{mlflow}/api/2.0/mlflow/experiments/create"
    response = requests.post(url, json=body, headers=headers, timeout=30)
    assert response.status_code == 403 and "access-control-allow-origin" not in response.headers


@pytest.mark.slow
@pytest.mark.parametrize("path", ["events/in", "events/out"])
def test_nor_by_a_websocket(pages, path):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{pages[0]}/api/{path}", origin="http://evil.example")


@pytest.mark.slow
def test_the_own_pages_and_programs_work(pages):
    import mlflow
    import requests
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    for port in pages:
        shown = requests.get(f"http://localhost:{port}/", headers={"Origin": f"http://localhost:{port}"}, timeout=30)
        assert shown.ok and "<html" in shown.text.lower()
    bare = requests.post(f"http://127.0.0.1:{pages[0]}/api/flows/", json={"name": "bare"}, timeout=30)
    assert bare.status_code == 403 and "CSRF" in bare.text
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{pages[0]}/api"}),
        get_client(sync_client=True) as client,
    ):
        assert client.read_flow(client.create_flow(flow(lambda: 1, name="own"))).name == "own"
    client = mlflow.MlflowClient(f"http://127.0.0.1:{pages[1]}")
    assert client.get_experiment(client.create_experiment("own")).name == "own"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_ending_the_pages_ends_all_servers(tmp_path, ending):
    ports = [str(port) for port in free_ports(3)]
    options = zip(("--prefect-port", "--mlflow-port", "--tensorboard-port"), ports, strict=True)
    command = [sys.executable, "-m", "components", "ui", *(word for option in options for word in option)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pages = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    while "Ctrl-C" not in pages.stdout.readline():
        assert pages.poll() is None
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pages.pid)], capture_output=True, text=True).stdout
    assert len(children.split()) == 3
    pages.send_signal(ending)
    pages.wait(timeout=60)
    assert not [child for child in children.split() if Path("/proc", child).exists()]


def test_without_tensorboard_the_other_pages_are_served(monkeypatch, capsys):
    from components.cli import ui

    started = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(ui, "_bring_up_to_date", lambda: None)
    monkeypatch.setattr(ui.subprocess, "Popen", lambda command, **options: started.append(command) or Ended())
    ports = [str(port) for port in free_ports(2)]
    try:
        ui.ui.callback(int(ports[0]), int(ports[1]), 6006, "artifacts")
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert [command[2] for command in started] == ["flows.server", "mlflow"]
    assert "TensorBoard" not in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--prefect-port", "--mlflow-port", "--tensorboard-port"])
def test_a_taken_port_is_named_with_the_option_that_changes_it(option, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "found")
    ports = dict(zip(("--prefect-port", "--mlflow-port", "--tensorboard-port"), free_ports(3), strict=True))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports[option] = taken.getsockname()[1]
        message = fails("ui", *(str(word) for pair in ports.items() for word in pair))
    assert f"port {ports[option]} is taken; choose another with {option}" in message
    assert not [other for other in ports if other != option and other in message]


class Ended:
    """A server that has ended."""

    def wait(self, timeout=None):
        return 0

    def terminate(self):
        return None


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"HTTP_HOST": "127.0.0.1:6006"}, "200 OK"),
        ({"HTTP_HOST": "localhost:6006", "HTTP_ORIGIN": "http://localhost:6006"}, "200 OK"),
        ({"HTTP_HOST": "localhost:5000"}, "403 Forbidden"),
        ({"HTTP_HOST": "evil.example"}, "403 Forbidden"),
        ({"HTTP_HOST": "localhost:6006", "HTTP_ORIGIN": "http://evil.example"}, "403 Forbidden"),
        ({"HTTP_HOST": "localhost:6006", "HTTP_ORIGIN": "null"}, "403 Forbidden"),
        ({"HTTP_HOST": "localhost:6006", "HTTP_SEC_FETCH_SITE": "same-origin"}, "200 OK"),
        ({"HTTP_HOST": "localhost:6006", "HTTP_SEC_FETCH_SITE": "cross-site"}, "403 Forbidden"),
        ({}, "403 Forbidden"),
    ],
    ids=str,
)
def test_tensorboard_answers_its_own_pages_and_programs_alone(headers, answer):
    from components.cli.tensorboard_pages import OwnPagesOnly

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"curves"]

    answers = []
    OwnPagesOnly(app, ["127.0.0.1:6006", "localhost:6006"])(headers, lambda status, fields: answers.append(status))
    assert answers == [answer]


HOSTILE_NAMES = ["x' OR name LIKE '%", "../../escaped", "/tmp/escaped", "a\nb", "店", "con", "a" * 300]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize(
    "command",
    [
        *(["status"], ["promote"], ["rollback"], ["run"], ["data", "verify"], ["data", "pull"], ["data", "build"]),
        *(["generate", "--out", "ads"], ["stage", "validation", "--dataset"], ["data", "advance", "--days", "1"]),
    ],
    ids=" ".join,
)
def test_a_name_that_no_data_set_can_have_is_refused_at_the_door(command, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = fails(*command, name)
    assert "a data set's name" in message or "the name of a device" in message
    assert "\x1b" not in message and len(message) < 400
    assert list(tmp_path.iterdir()) == []


def test_add_refuses_such_a_name_too(tmp_path):
    assert "a data set's name" in fails("data", "add", "../escaped", str(tmp_path))


@pytest.mark.parametrize(
    "reason", ["[/v2] closes nothing", "[bold red]x[/]", "\x1b[2Jgone", ":smiley:", "[link=//evil]x[/link]"]
)
@pytest.mark.parametrize("width", [60, 80])
def test_reasons_are_shown_as_they_are(reason, width, monkeypatch, capsys):
    from components.cli.summary import print_status, print_summary

    monkeypatch.setenv("COLUMNS", str(width))
    row = {"model": reason, "champion": None, "refit": None, "challenger": None, "decision": reason, "lift": None}
    print_status([{**row, "latest": 1, "reasons": reason, "unit": None}])
    outcome = {"dataset": reason, "interest": None, "creatives": None, "action": reason, "lift": None, "champion": None}
    print_summary([{**outcome, "reasons": [reason], "unit": "clicks"}], as_json=False)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.replace("\n", " ").count(reason.replace("\x1b", "\\x1b").split()[0]) >= 4


def test_an_error_that_quotes_data_moves_no_cursor(tmp_path):
    (tmp_path / "a\x1b[2J.csv").write_text("x\n1\n")
    message = fails("evaluate", "--log", str(tmp_path / "a\x1b[2J.csv"), "--target", "nowhere.csv")
    assert "\\x1b[2J" in message and "\x1b" not in message
