"""Events from topics: each counts once, whatever comes twice, late or malformed, and whoever goes away meanwhile."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

from benchmarks.mock_kafka import messages
from components.serving.journal import FILE, Journal, PositionRow, connect
from components.serving.server_clock import now_microseconds
from components.settings.paths import ROOT
from tests.components.serving.streams.conftest import until
from tests.components.serving.test_journal import decision

NOW = 1_780_000_000_000_000


def view(name: str, **fields) -> dict:
    return {"type": "behaviour", "event_id": name, "shopper_id": "s1", "kind": "view", **fields}


def rows(scene, query: str = "SELECT kind, id, body FROM tracked ORDER BY kind, id") -> list[tuple]:
    with closing(connect(scene.folder / FILE)) as connection:
        return connection.execute(query).fetchall()


def test_each_kind_is_stored_once_and_what_it_means_is_that_of_track(scene):
    with scene.reading() as (journal, status):
        journal.submit([decision("i1", NOW), decision("i2", NOW)]).result(10)
        scene.send(scene.behaviour, view("e1"), view("e1"), view("e2", product_id="p1"), partition=0)
        scene.send(scene.ads, {"type": "click", "decision_id": "i1"}, partition=0)  # before its impression
        scene.send(scene.ads, {"type": "impression", "decision_id": "i1"}, partition=1)
        scene.send(scene.ads, {"type": "conversion", "decision_id": "i1", "revenue": 3.5}, partition=0)
        scene.send(scene.ads, {"type": "feedback", "decision_id": "i2", "feedback": "hide"}, partition=0)
        until(lambda: status(scene.ads, "stored") == 4 and status(scene.behaviour, "stored") == 2)
        assert status(scene.behaviour, "duplicate") == 1
        assert [row[1:3] for row in scene.histories.rows("s1", now_microseconds() + 1).events] == [
            ("view", None),
            ("view", "p1"),
        ]
        assert scene.histories.rows("s1", now_microseconds() + 1).shown == ((NOW, "c", "a", 1),)
    assert [f"{kind} {name}" for kind, name, _ in rows(scene)] == [
        "click i1", "conversion i1", "event e1", "event e2", "feedback i2", "impression i1"
    ]  # fmt: skip


def test_an_event_without_a_time_has_that_of_its_message_and_a_late_one_counts_from_when_it_came(scene):
    with scene.reading() as (_, status):
        scene.send(scene.behaviour, view("late", timestamp="2026-01-01T00:00:00Z"), view("plain"))
        until(lambda: status(scene.behaviour, "stored") == 2)
    times = dict((name, (moment, ingested)) for name, moment, ingested in rows(
        scene, "SELECT id, moment, ingested FROM tracked"))  # fmt: skip
    assert times["late"][0] == 1_767_225_600_000_000 < times["late"][1] - 10**12
    assert times["plain"][0] % 1000 == 0 and 0 <= times["plain"][1] - times["plain"][0] < 60_000_000


def test_what_does_not_count_is_a_dead_letter_that_says_where_it_stands_and_why(scene):
    bad = [
        b"not JSON", b"\xff\xfe", None, view("e1", kind="stare"), {"type": "click", "decision_id": "i1"},
        view("e2", timestamp="2100-01-01T00:00:00Z"), view("e3", timestamp="2026-01-01T00:00:00"), view("e4"),
        view("e4", kind="cart"),
    ]  # fmt: skip
    with scene.reading() as (journal, _):
        journal.submit([decision("i1", NOW)]).result(10)
        scene.send(scene.behaviour, *bad, partition=1)
        other = {"type": "impression", "decision_id": "i1", "creative_id": "b"}
        scene.send(scene.ads, other, {"type": "click", "decision_id": "no such"}, partition=0)
        letters = dict(messages(scene.broker.servers, scene.dead, 10))
        until(lambda: journal.unpublished() == 0)
    letters = {key.partition(".")[2]: letter for key, letter in letters.items()}
    assert set(letters) == {f"behaviour/1/{number}" for number in (0, 1, 2, 3, 4, 5, 6, 8)} | {"ads/0/0", "ads/0/1"}
    reasons = {key: (letter["status"], letter["reason"]) for key, letter in letters.items()}
    assert {name for name, _ in reasons.values()} == {
        "malformed",
        "refused",
        "conflict",
        "mismatch",
        "unknown",
    }
    assert "Invalid JSON" in reasons["behaviour/1/0"][1] and letters["behaviour/1/0"]["value"] == "not JSON"
    assert letters["behaviour/1/1"]["value_base64"] == "//4=" and letters["behaviour/1/2"]["value"] is None
    assert "kind" in reasons["behaviour/1/3"][1]
    assert reasons["behaviour/1/4"][1] == "an event of type click, where the topic holds behaviour"
    assert "ahead of the server's clock" in reasons["behaviour/1/5"][1]
    assert "other content" in reasons["behaviour/1/8"][1]
    assert reasons["ads/0/0"] == ("mismatch", "creative b was shown, but a had been chosen")
    assert rows(scene, "SELECT why FROM faults") == [("creative b was shown, but a had been chosen",)]
    assert [name for _, name, _ in rows(scene)] == ["e4"]


def test_reading_goes_on_after_the_last_stored_message_and_the_group_knows_it(scene):
    from confluent_kafka import Consumer, TopicPartition

    scene.send(scene.behaviour, *(view(f"e{number}") for number in range(120)), partition=0)
    with scene.reading() as (journal, status):
        until(lambda: status(scene.behaviour, "stored") == 120)
        assert journal.positions(scene.config.consumer_group) == {(scene.behaviour, 0): 120}
        group = Consumer({"bootstrap.servers": scene.broker.servers, "group.id": scene.config.consumer_group})
        place = [TopicPartition(scene.behaviour, 0)]
        until(lambda: group.committed(place, timeout=10)[0].offset == 120)
        group.close()
    scene.send(scene.behaviour, view("more"), partition=0)
    with scene.reading() as (_, status):
        until(lambda: status(scene.behaviour, "stored") == 1)
        assert status(scene.behaviour, "duplicate") == 0
    assert len(rows(scene)) == 121


def test_without_a_position_in_the_journal_the_groups_offset_counts(scene, tmp_path):
    scene.send(scene.behaviour, *(view(f"e{number}") for number in range(10)), partition=0)
    with scene.reading() as (_, status):
        until(lambda: status(scene.behaviour, "stored") == 10)
    scene.folder = tmp_path / "another server"
    scene.send(scene.behaviour, view("more"), partition=0)
    with scene.reading() as (_, status):
        until(lambda: status(scene.behaviour, "stored") == 1)
    assert [name for _, name, _ in rows(scene)] == ["more"]
    with scene.reading(consumer_group="all again") as (_, status):
        until(lambda: status(scene.behaviour, "stored") == 10 and status(scene.behaviour, "duplicate") == 1)


def test_a_topic_that_no_longer_has_the_position_is_read_from_its_begin(scene, caplog):
    with closing(Journal(scene.folder)) as journal:
        journal.submit([PositionRow(scene.config.consumer_group, scene.behaviour, 0, 5000)]).result(10)
    scene.send(scene.behaviour, view("e1"), partition=0)
    with scene.reading() as (journal, status):
        until(lambda: status(scene.behaviour, "stored") == 1)
        assert journal.positions(scene.config.consumer_group) == {(scene.behaviour, 0): 1}
    assert f"Kafka: {scene.behaviour}/0 was created anew; it is read from its begin" in caplog.text


def test_a_broker_that_goes_away_is_said_and_reading_goes_on_when_it_is_back(scene):
    with scene.reading() as (_, status):
        scene.send(scene.behaviour, view("e1"))
        until(lambda: status(scene.behaviour, "stored") == 1)
        assert scene.streams.state() == {"connected": True, "lag": 0, "unpublished": 0, "reason": ""}
        scene.broker.take_away()
        until(lambda: not scene.streams.state()["connected"])
        assert "no broker answers" in scene.streams.state()["reason"]
        assert scene.figure("adloom_stream_connected") == 0
        scene.broker.bring_back()
        until(lambda: scene.streams.state()["connected"])
        scene.send(scene.behaviour, view("e2"))
        until(lambda: status(scene.behaviour, "stored") == 2)


def test_a_topic_that_is_not_there_yet_is_said_and_read_later(scene, monkeypatch):
    monkeypatch.setattr("components.serving.streams.stream_consumer.LOOK_SECONDS", 0.1)
    topics = scene.config.topics.model_copy(update={"behaviour": "new"})
    with scene.reading(topics=topics) as (_, status):
        until(lambda: scene.streams.state()["reason"] == "no topic new yet")
        scene.broker.create("new")
        scene.send("new", view("e1"))
        until(lambda: status("new", "stored") == 1)
        assert scene.streams.state()["reason"] == ""


def test_a_full_disk_holds_the_topic_back_and_loses_nothing(scene, monkeypatch):
    stored = Journal._store

    def full(self, connection, row):
        raise sqlite3.OperationalError("database or disk is full")

    with scene.reading() as (_, status):
        monkeypatch.setattr(Journal, "_store", full)
        scene.send(scene.behaviour, *(view(f"e{number}") for number in range(70)))
        until(lambda: "disk is full" in scene.streams.state()["reason"])
        assert scene.streams.state()["connected"]
        monkeypatch.setattr(Journal, "_store", stored)
        until(lambda: status(scene.behaviour, "stored") == 70)
        assert scene.streams.state()["reason"] == ""
    assert len(rows(scene)) == 70


def test_nothing_is_read_while_the_journal_is_behind(scene, monkeypatch):
    with scene.reading() as (_, status):
        monkeypatch.setattr(Journal, "waiting", 51)
        scene.send(scene.behaviour, view("e1"), view("e2"))
        until(lambda: scene.streams.state()["connected"])
        assert status(scene.behaviour, "stored") == 0 and rows(scene) == []
        monkeypatch.setattr(Journal, "waiting", 0)
        until(lambda: status(scene.behaviour, "stored") == 2)


READER = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from components.serving.journal import Journal
from components.serving.streams.kafka_streams import KafkaStreams
from components.settings.sections import KafkaConfig
streams = KafkaStreams(KafkaConfig.model_validate_json(sys.argv[2]), Journal(Path(sys.argv[1])), CollectorRegistry())
streams.start()
sys.stdin.read()
"""


def test_kills_lose_nothing_and_double_nothing(scene):
    """The reader is killed in the middle of its batches; dead letters and error rows are counted, too."""
    with closing(Journal(scene.folder)) as journal:
        journal.submit([decision("i1", NOW)]).result(10)
    scene.send(scene.behaviour, *(view(f"e{number}") for number in range(600)))
    scene.send(scene.ads, *[{"type": "impression", "decision_id": "i1", "creative_id": "b"}] * 200)
    config = scene.config.model_copy(update={"batch_messages": 7}).model_dump_json()
    total = "SELECT coalesce(sum(next), 0) FROM positions"
    for part in (0.3, 0.6, 1.0):
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(scene.folder), config],
            stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        until(lambda part=part: rows(scene, total)[0][0] >= part * 800)
        reader.kill()
        assert reader.wait() == -signal.SIGKILL
        reader.stdin.close()
    assert rows(scene, "SELECT count(*), count(DISTINCT id) FROM tracked WHERE kind = 'event'") == [(600, 600)]
    assert rows(scene, "SELECT count(*) FROM faults") == [(200,)]
    with scene.reading() as (journal, _):
        until(lambda: journal.unpublished() == 0)
    letters = messages(scene.broker.servers, scene.dead)
    assert len({key for key, _ in letters}) == 200, "none is lost; one may come twice, with its key"
    assert len(letters) <= 200 + 3 * 500
