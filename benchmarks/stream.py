"""Events through a Kafka broker into the state of `adloom serve`: how many, how soon decisions know, what kills do.

    python -m benchmarks.stream [--servers HOST:PORT] [--events N] [--kills 20] [--trials 200] [--workdir DIR] [--small]

Without --servers the broker is librdkafka's mock cluster in this process. Three parts:

- `events a second`: behaviour that waits in the topic is read by a process with journal and histories, until all of it
  is durable and in the histories. `cpu_us` is the reader's processor time per event, in microseconds.
- `seconds to a changed decision`: a server process with the per-shopper policy of a simulated shop. A shopper's
  propensities of two creatives are asked over HTTP; a purchase of the first one's product is sent to the topic; the
  same is asked until they differ. Asked twice before the event, they are the same up to `drift`; only a change of ten
  times that counts. Shoppers whose propensities are at the policy's lowest or highest are left out, since no
  event need move them.
- `kills`: a process reads events, clicks, malformed and contradicting messages, and writes decisions of its own, which
  are published; it is killed at random moments. Afterwards every message must have had its effect exactly once, and
  each decision must have been published: `repeated` ones came again with their key, as at-least-once allows.

--small: a few thousand events and 2 kills, without a shop. Ends with one line of JSON.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np

from benchmarks.mock_kafka import MockKafka, messages, mock_kafka, send
from benchmarks.served_shop import prepared_shop
from benchmarks.serving import processor_seconds, serve, wait_for

SEED = 999
SHOPPERS = 5_000
PARTITIONS = 4
PATIENCE = 300.0  # seconds
PORT = 8791


@dataclass(frozen=True)
class Place:
    """Topics of a broker with names of their own, and the folder of a journal."""

    servers: str
    name: str
    folder: Path

    @property
    def config(self):
        """The settings `serving.kafka`."""
        from components.settings.sections import KafkaConfig, KafkaTopics

        reports = dict.fromkeys(("impressions", "clicks", "conversions", "feedback"), f"{self.name}.ads")
        return KafkaConfig(
            bootstrap_servers=self.servers,
            consumer_group=self.name,
            topics=KafkaTopics(behaviour=f"{self.name}.behaviour", **reports),
            dead_letters=f"{self.name}.dead",
            served=f"{self.name}.served",
        )

    def query(self, text: str) -> list[tuple]:
        """Rows of the journal, which is created if needed."""
        from components.serving.journal import FILE, connect

        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(connect(self.folder / FILE)) as connection:
            return connection.execute(text).fetchall()

    @contextmanager
    def reader(self, *options: str):
        """A process that reads the topics into the journal; killed at the end."""
        given = ["--servers", self.servers, "--folder", str(self.folder), "--name", self.name]
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.stream", "--read", *given, *options])
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait(self, query: str, least: int) -> None:
        """Return when the one figure of `query` is at least `least`."""
        end = time.monotonic() + PATIENCE
        while (self.query(query)[0][0] or 0) < least:
            if time.monotonic() > end:
                raise SystemExit(f"{query}: {self.query(query)[0][0]} after {PATIENCE:g} seconds, not {least}")
            time.sleep(0.05)


POSITION = "SELECT coalesce(sum(next), 0) FROM positions"


def create_topics(place: Place, broker: MockKafka | None) -> None:
    """Create the topics of `place` in the mock cluster `broker`, or in the cluster that `place` names."""
    from confluent_kafka.admin import AdminClient, NewTopic

    names = [f"{place.name}.{part}" for part in ("behaviour", "ads", "dead", "served")]
    if broker is not None:
        for name in names:
            broker.create(name, PARTITIONS)
        return
    admin = AdminClient({"bootstrap.servers": place.servers, "log_level": 2})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(30)


def read(place: Place, deciding: bool) -> None:
    """Read the topics into the journal and histories until killed; deciding: write decisions, too."""
    from prometheus_client import CollectorRegistry

    from components.serving.history_store import HistoryStore
    from components.serving.journal import Journal
    from components.serving.streams.kafka_streams import KafkaStreams

    def applied(connection, row) -> None:
        histories.applied(connection, row)
        streams.applied(connection, row)

    journal = Journal(place.folder, applied)
    histories = HistoryStore(journal.path, 400, lambda shopper_id: True)
    streams = KafkaStreams(place.config, journal, CollectorRegistry())
    streams.start()
    while True:
        if deciding:
            journal.submit([decision(uuid.uuid4().hex)]).result()
        time.sleep(0.01)


def decision(name: str, request_id: str | None = None):
    """A decision that happened now."""
    from components.serving.journal import DecisionRow
    from components.serving.server_clock import now_microseconds

    return DecisionRow(
        decision_id=name, moment=now_microseconds(), shopper_id="s1", campaign="c", position=1, creative_id="a",
        propensity=0.5, logging_policy="uniform", request_id=request_id, placement=None, context={},
        candidates={"a": 0.5, "b": 0.5},
    )  # fmt: skip


def views(count: int, kind: str = "view") -> list[dict]:
    """Behaviour of random shoppers, with ids of its own."""
    draw = random.Random(SEED)
    shoppers = [f"s{draw.randrange(SHOPPERS)}" for _ in range(count)]
    names = [uuid.UUID(int=draw.getrandbits(128)).hex for _ in range(count)]
    return [
        {"type": "behaviour", "event_id": name, "shopper_id": shopper, "kind": kind, "product_id": "p1"}
        for name, shopper in zip(names, shoppers, strict=True)
    ]


def throughput(place: Place, count: int) -> dict:
    """Events a second from the broker into the state, from the first one that is durable to the last."""
    begun = time.perf_counter()
    send(place.servers, f"{place.name}.behaviour", views(count))
    sent = count / (time.perf_counter() - begun)
    with place.reader() as process:
        place.wait(POSITION, 1)
        early, begun, used = place.query(POSITION)[0][0], time.perf_counter(), processor_seconds(process.pid)
        place.wait(POSITION, count)
        rate = (count - early) / (time.perf_counter() - begun)
        used = (processor_seconds(process.pid) - used) / max(count - early, 1)
    stored = place.query("SELECT count(*), count(DISTINCT id) FROM tracked")[0]
    return {
        "events": count,
        "a_second": round(rate),
        "cpu_us": round(1e6 * used),
        "sent_a_second": round(sent),
        "lost": count - stored[1],
        "in_histories": place.query("SELECT count(*) FROM history_events")[0][0],
    }


@dataclass
class Sent:
    """What `kills` has sent, by what must come of it."""

    stored: list[str]
    clicked: list[str]
    malformed: int = 0
    mismatched: int = 0


def sending(place: Place, sent: Sent, known: list[str], stop: threading.Event) -> None:
    """Send a mixture of messages until `stop`. known: ids of decisions in the journal."""
    draw, behaviour, ads = random.Random(SEED), f"{place.name}.behaviour", f"{place.name}.ads"
    clicks = iter(known)
    while not stop.is_set():
        new = views(50)
        for event in new:
            event["event_id"] = uuid.UUID(int=draw.getrandbits(128)).hex
        send(place.servers, behaviour, [*new, *new[:5], b"not JSON"])
        wrong = {"type": "impression", "decision_id": known[0], "creative_id": "b"}
        reports = [{"type": "click", "decision_id": name} for name in (next(clicks, None),) if name]
        send(place.servers, ads, [*reports, wrong])
        sent.stored += [event["event_id"] for event in new]
        sent.clicked += [report["decision_id"] for report in reports]
        sent.malformed, sent.mismatched = sent.malformed + 1, sent.mismatched + 1
        time.sleep(0.1)


def kills(place: Place, times: int) -> tuple[Sent, dict]:
    """What was sent, and what was lost or doubled by kills at random moments."""
    from components.serving.journal import Journal

    known = [uuid.uuid4().hex for _ in range(5_000)]
    with closing(Journal(place.folder)) as journal:
        journal.submit([decision(name, "before") for name in known]).result()
    sent, stop, draw = Sent([], []), threading.Event(), random.Random(SEED)
    thread = threading.Thread(target=sending, args=(place, sent, known, stop), daemon=True)
    thread.start()
    for _ in range(times):
        before = place.query(POSITION)[0][0]
        with place.reader("--deciding") as process:
            place.wait(POSITION, before + 1)
            time.sleep(draw.uniform(0.0, 1.0))
            process.send_signal(signal.SIGKILL)
    stop.set()
    thread.join()
    total = len(sent.stored) * 56 // 50 + len(sent.clicked) + sent.mismatched
    with place.reader():
        place.wait(POSITION, total)
        place.wait("SELECT count(*) = 0 FROM outgoing", 1)
    return sent, {"kills": times, "messages": total} | accounted(place, sent)


def accounted(place: Place, sent: Sent) -> dict:
    """Numbers of what is missing (lost), of what had its effect more than once (doubled), and of what came again."""
    event, click = ("SELECT id FROM tracked WHERE kind = 'event'", "SELECT id FROM tracked WHERE kind = 'click'")
    effects = (
        (sent.stored, event),
        (sent.stored, "SELECT id FROM history_events"),
        (sent.clicked, click),
        (sent.clicked, "SELECT id FROM history_shown WHERE click = 1"),
    )
    counted = [(names, Counter(name for (name,) in place.query(query))) for names, query in effects]
    faults = place.query("SELECT count(*) FROM faults")[0][0]
    decided = {name for (name,) in place.query("SELECT decision_id FROM decisions WHERE request_id IS NULL")}
    letters = Counter(key for key, _ in messages(place.servers, f"{place.name}.dead"))
    served = messages(place.servers, f"{place.name}.served")
    published = Counter(key for key, body in served if body["type"] == "decision")
    refused = sent.malformed + sent.mismatched
    kinds = ("events", "events of histories", "clicks", "clicks of histories")
    missing = {kind: len(set(names) - set(counts)) for kind, (names, counts) in zip(kinds, counted, strict=True)}
    missing |= {
        "error rows": max(0, sent.mismatched - faults),
        "dead letters": max(0, refused - len(letters)),
        "published decisions": len(decided - set(published)),
    }
    doubled = sum(sum(counts.values()) - len(counts) for _, counts in counted)
    return {
        "lost": sum(missing.values()),
        **{f"lost {kind}": number for kind, number in missing.items() if number},
        "doubled": doubled + max(0, faults - sent.mismatched) + max(0, len(letters) - refused),
        "decisions_published": len(published),
        "repeated": sum(letters.values()) - len(letters) + sum(published.values()) - len(published),
    }


class Asking:
    """Asks the server for the propensities of two creatives."""

    def __init__(self, port: int, campaign: str, creatives: list[str]):
        self.port, self.campaign, self.creatives = port, campaign, creatives

    def propensity(self, shopper: str) -> float:
        """Of the first creative, for the shopper."""
        body = {"shopper_id": shopper, "campaign": self.campaign, "placement": "home", "shortlist": self.creatives}
        content = json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}/decide", content, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            chosen = json.loads(answer.read())
        first = chosen["creative_id"] == self.creatives[0]
        return chosen["propensity"] if first else 1 - chosen["propensity"]


def changes(place: Place, workdir: str, trials: int) -> dict:
    """Seconds from an event to the first decision that it changes."""
    from components.serving.shop_tables import read_shop

    _, paths = prepared_shop(workdir)
    shop, draw = read_shop(paths.data), random.Random(SEED)
    campaign = shop.tables["campaigns"]["campaign"].iloc[0]
    creatives = shop.tables["creatives"]
    creatives = creatives[(creatives["campaign"] == campaign) & creatives["product_id"].notna()]
    creatives = creatives.drop_duplicates("product_id").head(2)
    asking = Asking(PORT, campaign, creatives["creative_id"].tolist())
    given = ["--servers", place.servers, "--folder", str(place.folder), "--name", place.name, "--workdir", workdir]
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.stream", "--serve", *given])
    try:
        wait_for(PORT, server)
        shuffled = sorted(shop.consenting or ())
        draw.shuffle(shuffled)
        movable = (shopper for shopper in shuffled if 0.05 < asking.propensity(shopper) < 0.95)
        shoppers = list(islice(movable, trials))
        product = creatives["product_id"].iloc[0]
        rows = [_change(place, asking, shopper, product) for shopper in shoppers]
    finally:
        server.kill()
        server.wait()
    seconds = np.array([row[0] for row in rows])
    seen = seconds[np.isfinite(seconds)]
    return {
        "trials": len(rows),
        "unchanged": int(len(rows) - len(seen)),
        **{f"p{share}": round(float(np.percentile(seen, share)), 3) for share in (50, 99)},
        "drift": float(max(row[1] for row in rows)),
    }


def _change(place: Place, asking: Asking, shopper: str, product: str) -> tuple[float, float]:
    """Seconds until the shopper's propensities change (inf: not within 5), and how far they moved without an event."""
    asking.propensity(shopper)
    before = asking.propensity(shopper)
    drift = abs(asking.propensity(shopper) - before)
    event = {"type": "behaviour", "event_id": uuid.uuid4().hex, "shopper_id": shopper, "kind": "purchase"}
    begun = time.perf_counter()
    send(place.servers, f"{place.name}.behaviour", [{**event, "product_id": product}])
    while time.perf_counter() < begun + 5:
        if abs(asking.propensity(shopper) - before) > max(10 * drift, 1e-9):
            return time.perf_counter() - begun, drift
    return float("inf"), drift


def measured(given: argparse.Namespace, scratch: str) -> dict:
    """The figures of all parts."""
    with mock_kafka() if given.servers is None else nullcontext() as broker:
        servers = given.servers or broker.servers
        run = uuid.uuid4().hex[:8]

        def place(name: str) -> Place:
            made = Place(servers, f"{run}.{name}", Path(scratch) / name)
            create_topics(made, broker)
            return made

        result = {"broker": "mock" if given.servers is None else "given"}
        result["throughput"] = throughput(place("throughput"), 3_000 if given.small else given.events)
        print(result["throughput"], flush=True)
        _, result["kills"] = kills(place("kills"), 2 if given.small else given.kills)
        print(result["kills"], flush=True)
        if not given.small:
            result["change_seconds"] = changes(place("changes"), given.workdir or scratch, given.trials)
            print(result["change_seconds"], flush=True)
    return result


def main() -> None:
    """Measure all parts, print each, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", help="a broker; default: a mock cluster in this process")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workdir")
    parser.add_argument("--small", action="store_true")
    for hidden in ("--read", "--deciding", "--serve"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    for hidden in ("--folder", "--name"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(Place(given.servers, given.name, Path(given.folder)), given.deciding)
    from components.settings.environment import prepare

    prepare()
    if given.serve:
        config = Place(given.servers, given.name, Path(given.folder)).config
        serve(given.workdir, Path(given.folder), "per_shopper", PORT, kafka=config)
        return
    with tempfile.TemporaryDirectory() as scratch:
        result = measured(given, scratch)
    print(json.dumps({**result, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
