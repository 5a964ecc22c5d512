"""A broker in this process for each test, and readers of its topics into a journal."""

import threading
import time
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.mock_kafka import send
from components.serving.history_store import HistoryStore
from components.serving.journal import Journal
from components.serving.streams.kafka_streams import KafkaStreams
from components.settings.sections import KafkaConfig, KafkaTopics

PATIENCE = 30.0  # seconds


def until(condition) -> None:
    """Wait for what a thread does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


class Scene:
    """Topics of a broker, and the journal and histories that are built from them. s3 refused consent."""

    def __init__(self, broker, folder, name: str):
        self.broker, self.folder = broker, folder
        self.behaviour, self.ads, self.served, self.dead = (
            f"{name}.{topic}" for topic in ("behaviour", "ads", "served", "dead")
        )
        for topic in (self.behaviour, self.ads, self.served, self.dead):
            broker.create(topic)
        kinds = dict.fromkeys(("impressions", "clicks", "conversions", "feedback"), self.ads)
        self.config = KafkaConfig(
            bootstrap_servers=broker.servers, topics=KafkaTopics(behaviour=self.behaviour, **kinds),
            consumer_group=name, served=self.served, dead_letters=self.dead, batch_messages=50,
        )  # fmt: skip

    def send(self, topic: str, *values, partition: int = -1) -> None:
        send(self.broker.servers, topic, values, partition)

    @contextmanager
    def reading(self, **changes):
        """A running reader and publisher: the journal, and `status(topic, name)` -> how many messages had it."""
        registry = CollectorRegistry()
        journal = Journal(self.folder, lambda connection, row: self._applied(connection, row))
        self.histories = HistoryStore(journal.path, 400, {"s1", "s2"}.__contains__)
        self.streams = KafkaStreams(self.config.model_copy(update=changes), journal, registry)
        self.figure = registry.get_sample_value
        self.streams.start()
        try:
            yield journal, self._status
        finally:
            self.streams.close()
            journal.close()
            self.histories.close()

    def _status(self, topic: str, name: str) -> float:
        return self.figure("adloom_stream_messages_total", {"topic": topic, "status": name}) or 0.0

    def _applied(self, connection, row) -> None:
        self.histories.applied(connection, row)
        self.streams.applied(connection, row)


@pytest.fixture
def scene(broker, tmp_path):
    yield Scene(broker, tmp_path / "serving", tmp_path.name)
    assert [thread for thread in threading.enumerate() if thread.name == "kafka"] == []
