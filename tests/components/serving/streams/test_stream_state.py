"""The state that the stream builds is the one that a batch rebuild from the collected log builds, row for row."""

from contextlib import closing
from itertools import count

import numpy as np

from components.serving.history_store import HistoryStore
from components.serving.journal import FILE, connect
from components.serving.served_log import collect
from components.serving.streams.stream_messages import iso
from components.settings.sections import Settings
from tests.components.serving.streams.conftest import until
from tests.components.serving.test_served_log import HOUR, MONDAY, decision, place  # noqa: F401

DAY = 86_400_000_000
KINDS = ("view", "search", "cart", "purchase")
TABLES = ("history_events", "history_shown")


def histories(path) -> list[list[tuple]]:
    with closing(connect(path)) as connection:
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in TABLES]


def test_the_streams_state_is_that_of_a_batch_rebuild(scene, place, tmp_path, monkeypatch):  # noqa: F811
    random, clock = np.random.default_rng(999), count(MONDAY + 20 * HOUR)
    monkeypatch.setattr("components.serving.streams.stream_consumer.now_microseconds", clock.__next__)
    events = [
        {
            "type": "behaviour", "event_id": f"e{number}", "shopper_id": f"s{random.integers(1, 4)}",
            "kind": str(random.choice(KINDS)), "text": "红色" if number % 3 else None, "value": float(number) / 3,
            "timestamp": iso(MONDAY + int(random.integers(20 * HOUR))),
        }
        for number in range(200)
    ]  # fmt: skip
    at = iso(MONDAY + 9 * HOUR)
    reports = [
        {"type": kind, "decision_id": f"d{number}", "timestamp": at}
        for number in range(30)
        for kind in ("click", "impression")
    ]
    with scene.reading() as (journal, status):
        shown = [decision(f"d{number}", MONDAY + HOUR + number, f"s{number % 3 + 1}") for number in range(40)]
        journal.submit(shown).result(10)
        scene.send(scene.behaviour, *[events[number] for number in random.permutation(200)], *events[:50])
        scene.send(scene.ads, *[reports[number] for number in random.permutation(60)], *reports[:20])
        until(lambda: status(scene.behaviour, "duplicate") == 50 and status(scene.ads, "duplicate") == 20)
        until(lambda: scene.streams.state()["lag"] == 0)
    later = MONDAY + 3 * DAY
    assert collect("shop", place, scene.folder, Settings(), later).impressions == 30
    rebuilt = HistoryStore(tmp_path / "rebuilt.db", 400, {"s1", "s2"}.__contains__)
    rebuilt.load(place, "shop", later)
    rebuilt.close()
    streamed = histories(scene.folder / FILE)
    assert len(streamed[0]) > 100 and len(streamed[1]) >= 20
    earlier = {"i0", "i1"}  # of the data set, before the service
    ours = [[row for row in rows if row[2] not in earlier] for rows in histories(tmp_path / "rebuilt.db")]
    assert ours == streamed
