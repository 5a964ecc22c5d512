"""Ten nights in a row, started by a Prefect schedule: does the shop earn more, and was a promotion ever wrong?

    python -m benchmarks.nights [--nights 10] [--interval 30] [--seed 1] [--results benchmarks/results/nights]

A small shop (shop.py, strong.yaml) goes on day by day; each night the pipeline learns from all days and may promote.
The server, the scheduler and the runs are processes of their own, and nobody attends to them: this one waits. A night
that comes due while the one before is still running is cancelled by its concurrency limit. Ends with one line of JSON.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.nights.plot import draw
from benchmarks.nights.shop import build
from components.settings.environment import prepare


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between two nights of the schedule")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=1.0, help="give up after this time")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/nights"))
    arguments = parser.parse_args()
    folder = arguments.results.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    prepare(folder / "state")
    begun = time.monotonic()
    build(folder, arguments.seed)
    records = run_nights(folder, arguments.nights, arguments.interval, begun + 3600 * arguments.hours)
    if not records:
        raise SystemExit("no night came to its end")
    draw(records, folder / "nights.png")
    asked = {"asked": arguments.nights, "seconds": round(time.monotonic() - begun)}
    print(json.dumps({**summary(records), **asked}, sort_keys=True))


def run_nights(folder: Path, nights: int, interval: float, until: float) -> list[dict]:
    """Start the server and the schedule, wait for `nights` records, end both."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    prefect = [sys.executable, "-m", "prefect", "server"]
    server = _process(folder, "server", [*prefect, "start", "--host", "127.0.0.1", "--port", str(port)])
    scheduler = None
    try:
        subprocess.run([*prefect, "status", "--wait", "--timeout", "180"], check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "benchmarks.nights.night", str(folder), str(interval)]
        scheduler = _process(folder, "scheduler", command)
        told = 0
        while told < nights and time.monotonic() < until and scheduler.poll() is None:
            time.sleep(2)
            for record in _records(folder)[told:nights]:
                told += 1
                print(f"{record['day']}: shown by {record['shown_by']}, {record['action']}", flush=True)
        if told < nights:
            print(f"only {told} of {nights} nights came to their end; see {folder}/scheduler.log", flush=True)
        return _records(folder)[:nights]
    finally:
        for process in (scheduler, server):
            if process is not None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=60)


def _process(folder: Path, name: str, command: list[str]) -> subprocess.Popen:
    """A process in a group of its own, so that what it starts ends with it."""
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def _records(folder: Path) -> list[dict]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted((folder / "nights").glob("*.json"))]


def summary(records: list[dict]) -> dict:
    """The line of JSON: true value per night, and how the decisions stand to the truth."""
    promoted = [record for record in records if record["action"] == "promote"]
    judged = [record for record in records if record["lift_ci"]]
    covered = [record["lift_ci"][0] <= record["true_lift"] <= record["lift_ci"][1] for record in judged]
    return {
        "nights": len(records),
        "true_value": [round(record["true_value"], 5) for record in records],
        "over_uniform": [round(record["true_value"] / record["uniform_value"] - 1, 4) for record in records],
        "promotions": len(promoted),
        "false_promotions": sum(record["true_lift"] <= 0 for record in promoted),
        "refusals": sum(record["action"] == "refuse" for record in records),
        "abstentions": sum(record["action"] == "abstain" for record in records),
        "judged": len(judged),
        "true_lift_in_interval": sum(covered),
    }


if __name__ == "__main__":
    main()
