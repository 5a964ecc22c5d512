"""Ten nightly runs started by a Prefect schedule: the true value per night, and the number of false promotions.

    python -m benchmarks.nights [--nights 10] [--interval 30] [--seed 1] [--results benchmarks/results/nights]

A small simulated shop (shop.py, strong.yaml) is extended by one day per night; the pipeline trains on all days and may
promote. The server, the scheduler and the runs are separate processes; this one waits for them. A run that is scheduled
while the previous one is still running is cancelled by the concurrency limit. Prints one line of JSON at the end.
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
    parser.add_argument("--hours", type=float, default=1.0, help="stop after this time")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/nights"))
    arguments = parser.parse_args()
    folder = arguments.results.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    prepare(folder / "state")
    start = time.monotonic()
    build(folder, arguments.seed)
    records = run_nights(folder, arguments.nights, arguments.interval, start + 3600 * arguments.hours)
    if not records:
        raise SystemExit("no night finished")
    draw(records, folder / "nights.png")
    run = {"asked": arguments.nights, "seconds": round(time.monotonic() - start)}
    print(json.dumps({**summary(records), **run}, sort_keys=True))


def run_nights(folder: Path, nights: int, interval: float, until: float) -> list[dict]:
    """The records of `nights` nights: start the server and the schedule, wait for the records, and stop both."""
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
        printed = 0
        while printed < nights and time.monotonic() < until and scheduler.poll() is None:
            time.sleep(2)
            for record in _records(folder)[printed:nights]:
                printed += 1
                print(f"{record['day']}: shown by {record['shown_by']}, {record['action']}", flush=True)
        if printed < nights:
            print(f"only {printed} of {nights} nights finished; see {folder}/scheduler.log", flush=True)
        return _records(folder)[:nights]
    finally:
        for process in (scheduler, server):
            if process is not None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=60)


def _process(folder: Path, name: str, command: list[str]) -> subprocess.Popen:
    """Start a process in a new process group, so that its children can be ended with it."""
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def _records(folder: Path) -> list[dict]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted((folder / "nights").glob("*.json"))]


def summary(records: list[dict]) -> dict:
    """The figures: true value per night, and counts of decisions, false ones and intervals that cover the truth."""
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
