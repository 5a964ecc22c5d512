"""Latency of `adloom serve` over HTTP, with durable logging, under an open load; and what it lost.

    python -m benchmarks.serving [--rates 100,300] [--seconds 20] [--baseline] [--soak SECONDS] [--workdir DIR]

A simulated shop with 50 creatives per campaign, and one server process with the policy in the form table, then per
shopper with histories. A load process sends decisions at a fixed rate over keep-alive connections of loopback: a
latency counts from when a request was due, so waiting counts. A tenth of the decisions are followed by a click over
/track. Afterwards every acknowledged decision and click must be in the journal once. Milliseconds; resident memory of
the server in MiB; `cpu_ms` is its processor time per decision, to which other programs add nothing. `load` is the
machine's load average at the end. Ends with one line of JSON.

--baseline: each form also with uvicorn's parts in Python (the event loop of asyncio, h11 for HTTP), in turns.
--soak: then the form table at 100 a second for so many seconds; memory every ten seconds, of which `growth_mib` is the
slope of a line through all after the first tenth, times the time that they span.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from upath import UPath

from benchmarks.served_shop import assembled_package, prepared_shop

FORMS = ("table", "per_shopper")
STACKS = {"uvloop, httptools": {}, "asyncio, h11": {"loop": "asyncio", "http": "h11"}}  # uvicorn's options
FASTEST, PLAIN = STACKS
SOAK_RATE, SOAK_PAUSE = 100.0, 10.0
PORT = 8790
CONNECTIONS = 64
CLICK_EVERY = 10
TARGET_MS = 10.0  # p99 at 300 a second


def serve(workdir: str, folder: Path, form: str, port: int, *, kafka=None, stack: str = FASTEST) -> None:
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
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, **STACKS[stack])


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


@contextmanager
def running(workdir: str, form: str, folder: str, stack: str) -> Iterator[subprocess.Popen]:
    """A server process that has answered its first requests; killed at the end."""
    given = ["--serve", form, "--workdir", workdir, "--folder", folder, "--port", str(PORT), "--stack", stack]
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.serving", *given])
    try:
        wait_for(PORT, server)
        asyncio.run(load(PORT, requests_of(workdir, 300), 50))  # to warm up
        yield server
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def accounted(folder: str, decided: list[str], clicked: list[str]) -> dict:
    """What the journal has lost or doubled of acknowledged decisions and clicks."""
    from components.serving.journal import FILE, connect

    with closing(connect(Path(folder) / FILE)) as connection:
        names = [name for (name,) in connection.execute("SELECT decision_id FROM decisions")]
        clicks = [name for (name,) in connection.execute("SELECT id FROM tracked WHERE kind = 'click'")]
    lost = len(set(decided) - set(names)) + len(set(clicked) - set(clicks))
    doubled = len(names) + len(clicks) - len(set(names)) - len(set(clicks))
    return {"decisions": len(decided), "clicks": len(clicked), "doubled": doubled, "lost": lost}


def at_rate(workdir: str, server: subprocess.Popen, rate: float, seconds: float) -> tuple[dict, dict]:
    """The figures at `rate` decisions a second, and what `load` returned."""
    used = processor_seconds(server.pid)
    done = asyncio.run(load(PORT, requests_of(workdir, int(rate * seconds)), rate))
    spent = 1000 * (processor_seconds(server.pid) - used) / len(done["latency"])
    shares = (50, 99, 99.9)
    figures = zip(shares, np.percentile(done["latency"], shares).round(2).tolist(), strict=True)
    named = {f"p{share}": value for share, value in figures}
    return {**named, "failed": done["failed"], "cpu_ms": round(spent, 2)}, done


def measured(workdir: str, form: str, rates: list[float], seconds: float, stack: str = FASTEST) -> dict:
    """The figures of one form: by rate, then memory, and what was lost or doubled over all rates."""
    with tempfile.TemporaryDirectory() as folder:
        decided, clicked = [], []
        with running(workdir, form, folder, stack) as server:
            result: dict = {"start_mib": round(memory_mib(server.pid))}
            for rate in rates:
                result[f"{rate:g} a second"], done = at_rate(workdir, server, rate, seconds)
                decided, clicked = decided + done["decided"], clicked + done["clicked"]
            result["end_mib"] = round(memory_mib(server.pid))
        return result | accounted(folder, decided, clicked)


def soaked(workdir: str, seconds: float) -> dict:
    """The figures of a long run of the form table, with the server's memory over time."""
    with tempfile.TemporaryDirectory() as folder:
        with running(workdir, "table", folder, FASTEST) as server:
            memory: list[float] = []
            ended = threading.Event()

            def watch() -> None:
                while not ended.wait(SOAK_PAUSE):
                    memory.append(memory_mib(server.pid))

            watching = threading.Thread(target=watch, daemon=True)
            watching.start()
            figures, done = at_rate(workdir, server, SOAK_RATE, seconds)
            ended.set()
            watching.join()
        settled = memory[len(memory) // 10 :]
        slope = np.polyfit(np.arange(len(settled)), settled, 1)[0] if len(settled) > 2 else float("nan")
        mib = {"first": settled[0], "last": settled[-1], "highest": max(memory), "growth": slope * len(settled)}
        figures |= {f"{name}_mib": round(float(value), 1) for name, value in mib.items()}
        return {"seconds": seconds, **figures, **accounted(folder, done["decided"], done["clicked"])}


def main() -> None:
    """Measure each form, print a line each, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="100,300")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--workdir")
    parser.add_argument("--stack", choices=STACKS, default=FASTEST, help=argparse.SUPPRESS)
    parser.add_argument("--serve", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    from components.settings.environment import prepare

    prepare()
    if given.serve:
        serve(given.workdir, Path(given.folder), given.serve, given.port, stack=given.stack)
        return
    rates = [float(rate) for rate in given.rates.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        workdir = given.workdir or scratch
        prepared_shop(workdir)
        stacks = STACKS if given.baseline else (FASTEST,)
        result = {}
        for form in filter(None, given.forms.split(",")):
            for stack in stacks:
                name = f"{form}, {stack}"
                result[name] = measured(workdir, form, rates, given.seconds, stack)
                print(f"{name:30s} {result[name]}", flush=True)
        soak = soaked(workdir, given.soak) if given.soak else None
    figures = {"milliseconds": result, "soak": soak, "target_p99": TARGET_MS}
    print(json.dumps({**figures, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
