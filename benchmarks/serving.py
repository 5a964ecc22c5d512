"""Latency of `adloom serve` over HTTP, with durable logging, under an open load; and what it lost.

    python -m benchmarks.serving [--rates 100,300] [--seconds 20] [--workdir DIR]

A simulated shop with 50 creatives per campaign, and one server process with the policy in the form table, then per
shopper with histories. A load process sends decisions at a fixed rate over keep-alive connections of loopback: a
latency counts from when a request was due, so waiting counts. A tenth of the decisions are followed by a click over
/track. Afterwards every acknowledged decision and click must be in the journal once. Milliseconds; resident memory of
the server in MiB; `cpu_ms` is its processor time per decision, to which other programs add nothing. `load` is the
machine's load average at the end. Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from upath import UPath

from benchmarks.served_shop import assembled_package, prepared_shop

FORMS = ("table", "per_shopper")
CONNECTIONS = 64
CLICK_EVERY = 10
TARGET_MS = 10.0  # p99 at 300 a second


def serve(workdir: str, folder: Path, form: str, port: int, kafka=None) -> None:
    """Run one server with the shop's policy, in place of a champion of the registry. kafka: `serving.kafka`."""
    import uvicorn

    from components.serving.http_api.http_app import make_app
    from components.serving.served_policy import read_champion
    from components.serving.service import Service
    from components.serving.shop_tables import read_shop
    from components.settings.own_pages import local_hosts
    from components.settings.sections import ServingConfig

    _, paths = prepared_shop(workdir)
    package = assembled_package(paths, folder / "package")
    config = ServingConfig(refresh_seconds=1e6, history_days=10_000, kafka=kafka, requests_per_second=None)
    service = Service(read_shop(paths.data), config, paths.data, folder)
    policy = read_champion(package, {"acts": form, "forms": [form]}, (1, "f" * 64)).served(service.shop, config)
    service.prepare(UPath(package), "f" * 64, policy)  # loads the histories
    service.watch.current = policy
    app = make_app(service, local_hosts(port))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


class Connection:
    """One keep-alive connection that sends a body and reads the answer."""

    def __init__(self, port: int):
        self.port, self.streams = port, None

    async def post(self, path: str, body: dict) -> tuple[int, dict]:
        """The status and the JSON of the answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        status = int((await reader.readline()).split()[1])
        length = 0
        while (line := await reader.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, json.loads(await reader.readexactly(length))


async def load(port: int, bodies: list[dict], rate: float) -> dict:
    """Send decisions at `rate` a second; the latencies float64 [n] in ms, and ids of acknowledged decisions, clicks."""
    free: asyncio.Queue = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(Connection(port))
    latency = np.full(len(bodies), np.nan)
    decided, clicked, failed = [], [], 0
    begun = time.perf_counter() + 0.2

    async def one(number: int) -> None:
        nonlocal failed
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await free.get()
        status, answer = await connection.post("/decide", bodies[number])
        latency[number] = 1000 * (time.perf_counter() - due)
        if status != 200:
            failed += 1
        else:
            decided.append(answer["decision_id"])
            if number % CLICK_EVERY == 0:
                event = {"type": "click", "decision_id": answer["decision_id"]}
                _, answer = await connection.post("/track", {"events": [event]})
                clicked.extend([event["decision_id"]] * (answer["results"][0]["status"] == "stored"))
        free.put_nowait(connection)

    await asyncio.gather(*(one(number) for number in range(len(bodies))))
    return {"latency": latency, "decided": decided, "clicked": clicked, "failed": failed}


def requests_of(workdir: str, count: int) -> list[dict]:
    """Requests of random consenting shoppers."""
    from components.serving.shop_tables import read_shop

    _, paths = prepared_shop(workdir)
    shop, random = read_shop(paths.data), np.random.default_rng(999)
    campaigns = shop.tables["campaigns"]["campaign"].tolist()
    shoppers = sorted(shop.consenting or ())
    return [
        {"shopper_id": str(random.choice(shoppers)), "campaign": str(random.choice(campaigns)), "placement": "home"}
        for _ in range(count)
    ]


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port: int, server: subprocess.Popen) -> None:
    """Return when the server answers."""
    import urllib.request

    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("the server has ended")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read()
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the server does not answer")


def measured(workdir: str, form: str, rates: list[float], seconds: float) -> dict:
    """The figures of one form: by rate, then memory, and what was lost or doubled over all rates."""
    from components.serving.journal import FILE, connect

    port = 8790
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "benchmarks.serving",
            "--serve",
            form,
            "--workdir",
            workdir,
            "--folder",
            folder,
        ]
        server = subprocess.Popen([*command, "--port", str(port)])
        try:
            wait_for(port, server)
            asyncio.run(load(port, requests_of(workdir, 300), 50))  # to warm up
            result: dict = {"start_mib": round(memory_mib(server.pid))}
            decided, clicked = [], []
            for rate in rates:
                used = processor_seconds(server.pid)
                done = asyncio.run(load(port, requests_of(workdir, int(rate * seconds)), rate))
                spent = 1000 * (processor_seconds(server.pid) - used) / len(done["latency"])
                shares = (50, 99, 99.9)
                figures = zip(shares, np.percentile(done["latency"], shares).round(2).tolist(), strict=True)
                result[f"{rate:g} a second"] = {
                    **{f"p{share}": value for share, value in figures},
                    "failed": done["failed"],
                    "cpu_ms": round(spent, 2),
                }
                decided, clicked = decided + done["decided"], clicked + done["clicked"]
            result["end_mib"] = round(memory_mib(server.pid))
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
        with closing(connect(Path(folder) / FILE)) as connection:
            names = [name for (name,) in connection.execute("SELECT decision_id FROM decisions")]
            clicks = [name for (name,) in connection.execute("SELECT id FROM tracked WHERE kind = 'click'")]
        result |= {"decisions": len(decided), "clicks": len(clicked), "doubled": len(names) - len(set(names))}
        return result | {"lost": len(set(decided) - set(names)) + len(set(clicked) - set(clicks))}


def main() -> None:
    """Measure each form, print a line each, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="100,300")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workdir")
    parser.add_argument("--serve", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    from components.settings.environment import prepare

    prepare()
    if given.serve:
        serve(given.workdir, Path(given.folder), given.serve, given.port)
        return
    rates = [float(rate) for rate in given.rates.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        workdir = given.workdir or scratch
        prepared_shop(workdir)
        result = {form: measured(workdir, form, rates, given.seconds) for form in FORMS}
    for form, figures in result.items():
        print(f"{form:12s} {figures}")
    print(json.dumps({"milliseconds": result, "target_p99": TARGET_MS, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
