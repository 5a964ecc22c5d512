"""Events from Kafka into the journal: each counts once, and none is lost.

One process serves a data set, so the consumer takes all partitions itself, without a group's rebalances. A batch is
written in two steps: first the events, which count once by their ids; then, in one transaction, the dead letters and
the position after the batch. The position is committed to Kafka afterwards. So a batch that a kill interrupts is read
again, its events are duplicates, and its dead letters are written once. The position in the journal is where reading
goes on; without one, the group's committed offset; else the topic's begin.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from components.serving.journal import DUPLICATE, STORED, FaultRow, Journal, PositionRow, Row, TrackedRow
from components.serving.server_clock import now_microseconds
from components.serving.streams.stream_messages import StreamMessage, dead_letter, read_event, types_of
from components.serving.streams.stream_metrics import StreamMetrics
from components.serving.tracking import MISMATCH, Tracked, outcomes, rows_of
from components.settings.errors import first_line
from components.settings.kafka_client import client_properties, kafka_library, make_client
from components.settings.sections import KafkaConfig

log = logging.getLogger("adloom")

BEHIND = 50  # submissions that wait for the journal; beyond it nothing more is read
ANSWER_SECONDS = 5.0  # that a broker has for an answer
LOOK_SECONDS = 10.0  # between two looks for new partitions
RETRY_SECONDS = 0.5
POLL_SECONDS = 0.2
OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # we look where the topic begins, and say what is missing
    "fetch.wait.max.ms": 100,
    "queued.max.messages.kbytes": 16_384,  # of memory for messages that were fetched and not yet read
}
Partition = tuple[str, int]  # of a topic


@dataclass(frozen=True)
class StreamState:
    """connected: whether a broker answers; reason: what is wrong, if something is; lag: messages not read yet."""

    connected: bool
    reason: str
    lag: int = 0


class StreamConsumer:
    """Reads the topics of `config` into the journal, from `run` until `stop`."""

    def __init__(self, config: KafkaConfig, journal: Journal, metrics: StreamMetrics):
        self._config, self._journal, self._metrics = config, journal, metrics
        self._kafka, self._types = kafka_library(), types_of(config.topics)
        ours = {**OURS, "group.id": config.consumer_group, "error_cb": self._failed, "on_commit": _committed}
        self._client = make_client("Consumer", client_properties(config.bootstrap_servers, config.client, ours))
        self._next: dict[Partition, int] = {}
        self._anew: set[Partition] = set()  # that no longer have the offset where reading was to go on
        self._due, self._stop = 0.0, threading.Event()
        self.state = StreamState(False, "no broker has answered yet")

    def run(self) -> None:
        """Read until `stop`. After an error, go on from where the journal is."""
        while not self._stop.is_set():
            try:
                self._step()
            except Exception as error:  # whatever it is, what was not stored is read again
                self._next = {}
                self._say(*self._explained(error))
                self._stop.wait(RETRY_SECONDS)
        self._client.close()

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()

    def _step(self) -> None:
        if not self._next or not self.state.connected or time.monotonic() >= self._due:
            self._look()
        if self._journal.waiting > BEHIND:
            self._stop.wait(POLL_SECONDS / 10)
            return
        first = self._client.poll(POLL_SECONDS)
        if first is not None:
            batch = [first, *self._client.consume(self._config.batch_messages - 1, 0)]
            self._store([_copied(message) for message in batch if self._is_sound(message)])

    def _is_sound(self, message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == self._kafka.KafkaError._AUTO_OFFSET_RESET:
            self._anew.add((message.topic(), message.partition()))
        raise self._kafka.KafkaException(error)

    def _store(self, batch: Sequence[StreamMessage]) -> None:
        """Write a batch; it returns after everything is durable. JournalFailed if it is not."""
        now, read = now_microseconds(), [read_event(message, self._types) for message in batch]
        sent = [now if message.moment is None else message.moment * 1000 for message in batch]
        events = [(event, at) for event, at in zip(read, sent, strict=True) if not isinstance(event, Tracked)]
        rows = rows_of([event for event, _ in events], self._journal, now, [at for _, at in events])
        faults = [row for row in rows if isinstance(row, FaultRow)]
        checked = [Tracked(MISMATCH, row.why) if isinstance(row, FaultRow) else row for row in rows]
        results = iter(outcomes(checked, self._write([row for row in checked if isinstance(row, TrackedRow)])))
        told = [event if isinstance(event, Tracked) else next(results) for event in read]
        dead = [
            dead_letter(message, outcome, self._config.dead_letters)
            for message, outcome in zip(batch, told, strict=True)
            if outcome.status not in (STORED, DUPLICATE)
        ]
        after = {(message.topic, message.partition): message.offset + 1 for message in batch}
        group = self._config.consumer_group
        self._write([*faults, *dead, *(PositionRow(group, *part, offset) for part, offset in after.items())])
        self._next |= after
        self._client.commit(offsets=self._places(after), asynchronous=True)
        for message, outcome in zip(batch, told, strict=True):
            self._metrics.read.labels(message.topic, outcome.status).inc()
        self._say(True, self.state.reason)

    def _write(self, rows: Sequence[Row]) -> list[str]:
        return self._journal.submit(rows).result() if rows else []

    def _look(self) -> None:
        """Read all partitions that the topics have now."""
        known = self._client.list_topics(timeout=ANSWER_SECONDS).topics
        there = [topic for topic in self._types if topic in known and known[topic].error is None]
        new = [(topic, part) for topic in there for part in known[topic].partitions if (topic, part) not in self._next]
        if new:
            self._next |= self._starts(new)
            self._client.assign(self._places(self._next))
        missing = sorted(set(self._types) - set(there))
        self._say(True, f"no topic {', '.join(missing)} yet" if missing else "")
        self._due = time.monotonic() + LOOK_SECONDS

    def _starts(self, parts: Sequence[Partition]) -> dict[Partition, int]:
        """Partition -> the offset of the first message to read."""
        stored = self._journal.positions(self._config.consumer_group)
        unknown = [self._kafka.TopicPartition(*part) for part in parts if part not in stored]
        answers = self._client.committed(unknown, timeout=ANSWER_SECONDS) if unknown else []
        committed = {(answer.topic, answer.partition): answer.offset for answer in answers if answer.offset >= 0}
        return {part: self._start(part, {**committed, **stored}.get(part)) for part in parts}

    def _start(self, part: Partition, offset: int | None) -> int:
        """`offset` if the partition still has it, else the partition's begin."""
        place = self._kafka.TopicPartition(*part)
        low, _ = self._client.get_watermark_offsets(place, timeout=ANSWER_SECONDS)  # the end may be out of date
        if offset is None:
            return low
        if offset < low:
            self._metrics.expired.inc(low - offset)
            log.error("Kafka: %s messages of %s/%s were deleted before they were read", low - offset, *part)
        elif part in self._anew:
            log.warning("Kafka: %s/%s was created anew; it is read from its begin", *part)
        anew, self._anew = part in self._anew, self._anew - {part}
        return low if anew else max(offset, low)

    def _places(self, offsets: dict[Partition, int]) -> list:
        return [self._kafka.TopicPartition(*part, offset) for part, offset in offsets.items()]

    def _explained(self, error: Exception) -> tuple[bool, str]:
        """Whether a broker answers, and what is wrong."""
        if not isinstance(error, self._kafka.KafkaException):
            return self.state.connected, first_line(error)
        codes, cause = self._kafka.KafkaError, error.args[0]
        down = cause.code() in (codes._TRANSPORT, codes._TIMED_OUT, codes._ALL_BROKERS_DOWN)
        return (False, "no broker answers") if down else (self.state.connected, cause.str())

    def _failed(self, error) -> None:
        """Called by the client for errors that concern no message. It reconnects by itself."""
        if error.code() == self._kafka.KafkaError._ALL_BROKERS_DOWN:
            self._say(False, "no broker answers")
        elif error.code() != self._kafka.KafkaError._TRANSPORT:  # of one connection
            self._say(False, error.str())

    def _say(self, connected: bool, reason: str) -> None:
        if (connected, reason) != (self.state.connected, self.state.reason):
            level = logging.INFO if connected and not reason else logging.WARNING
            log.log(level, "Kafka: %s", reason or "connected")
        self.state = StreamState(connected, reason, self._lag())
        self._metrics.connected.set(connected)
        self._metrics.lag.set(self.state.lag)

    def _lag(self) -> int:
        lag = 0
        for part, offset in self._next.items():
            _, high = self._client.get_watermark_offsets(self._kafka.TopicPartition(*part), cached=True)
            lag += max(0, high - offset)
        return lag


def _copied(message) -> StreamMessage:
    kind, moment = message.timestamp()
    place = message.topic(), message.partition(), message.offset()
    return StreamMessage(*place, moment if kind else None, message.key(), message.value())


def _committed(error, offsets) -> None:
    if error is not None:
        log.warning("Kafka: offsets were not committed (%s); the positions in the journal hold", error)
