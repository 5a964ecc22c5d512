"""A Kafka cluster of one broker inside this process: librdkafka's mock cluster, for tests and benchmarks.

Messages are in memory. The broker listens on loopback and can be taken away and brought back. confluent-kafka offers
mock clusters to one client alone, so their functions are called in its copy of librdkafka.
"""

import ctypes
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition

BROKER = 1
SIGNATURES = {
    "rd_kafka_conf_new": (ctypes.c_void_p,),
    "rd_kafka_new": (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
    "rd_kafka_destroy": (None, ctypes.c_void_p),
    "rd_kafka_conf_set": (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t
    ),
    "rd_kafka_mock_cluster_new": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int),
    "rd_kafka_mock_cluster_destroy": (None, ctypes.c_void_p),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, ctypes.c_void_p),
    "rd_kafka_mock_topic_create": (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, ctypes.c_void_p, ctypes.c_int32),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, ctypes.c_void_p, ctypes.c_int32),
}  # fmt: skip


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
    for name, (answer, *arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = answer, arguments
    return library


class MockKafka:
    """servers: the broker's address."""

    def __init__(self) -> None:
        self._library, why = _library(), ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", why, len(why))
        self._client = self._library.rd_kafka_new(0, settings, why, len(why))
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        self.servers = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create(self, topic: str, partitions: int = 2) -> None:
        """Create an empty topic."""
        assert self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1) == 0

    def take_away(self) -> None:
        """The broker closes its connections and accepts no others."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, BROKER)

    def bring_back(self) -> None:
        """The broker answers again, with its messages."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, BROKER)

    def close(self) -> None:
        """End the broker."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


@contextmanager
def mock_kafka(*topics: str) -> Iterator[MockKafka]:
    """A broker with `topics`."""
    broker = MockKafka()
    try:
        for topic in topics:
            broker.create(topic)
        yield broker
    finally:
        broker.close()


def send(servers: str, topic: str, values: Iterable[Mapping | bytes | None], partition: int = -1) -> None:
    """Send messages, mappings as JSON, and wait for the broker's acknowledgement. partition: -1: any."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 2, "linger.ms": 1})
    for value in values:
        content = json.dumps(value).encode() if isinstance(value, Mapping) else value
        while True:
            try:
                producer.produce(topic, content, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def messages(servers: str, topic: str, count: int | None = None, seconds: float = 60.0) -> list[tuple]:
    """Key and JSON of the first `count` messages of a topic, partition by partition; None: of those there are now."""
    ours = {"group.id": "a test", "fetch.wait.max.ms": 50, "log_level": 2, "enable.partition.eof": True}
    reader = Consumer({"bootstrap.servers": servers, **ours})
    found: list[tuple[int, int, str | None, dict]] = []
    try:
        waiting = set(reader.list_topics(timeout=10).topics[topic].partitions)
        reader.assign([TopicPartition(topic, part, 0) for part in waiting])
        until = time.monotonic() + seconds
        while (waiting if count is None else len(found) < count) and time.monotonic() < until:
            message = reader.poll(0.2)
            if message is not None and message.error() is not None:  # the end of a partition
                waiting -= {message.partition()}
            elif message is not None:
                key = message.key().decode() if message.key() else None
                found.append((message.partition(), message.offset(), key, json.loads(message.value())))
    finally:
        reader.close()
    return [(key, body) for _, _, key, body in sorted(found, key=lambda row: row[:2])]
