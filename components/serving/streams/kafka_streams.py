"""The streams of one server: a thread that reads and one that publishes."""

import sqlite3
import threading

from prometheus_client import CollectorRegistry

from components.serving.journal import DecisionRow, Journal, OutgoingRow, Row, put_outgoing
from components.serving.streams.stream_consumer import StreamConsumer
from components.serving.streams.stream_messages import served_message, types_of
from components.serving.streams.stream_metrics import StreamMetrics
from components.serving.streams.stream_publisher import StreamPublisher
from components.settings.sections import KafkaConfig


class KafkaStreams:
    """Nothing is read or published before `start`. registry: the figures join it.

    UserError if the settings of the clients are wrong.
    """

    def __init__(self, config: KafkaConfig, journal: Journal, registry: CollectorRegistry):
        self._config, self._journal, metrics = config, journal, StreamMetrics(registry)
        self._consumer = StreamConsumer(config, journal, metrics) if types_of(config.topics) else None
        self._publisher = StreamPublisher(config, journal, metrics)
        running = [part for part in (self._consumer, self._publisher) if part is not None]
        self._parts = [(part, threading.Thread(target=part.run, name="kafka", daemon=True)) for part in running]

    def start(self) -> None:
        """Read and publish until `close`."""
        for _, thread in self._parts:
            thread.start()

    def close(self) -> None:
        """Stop reading and publishing; what was not stored is read again, what was not sent waits in the journal."""
        for part, _ in self._parts:
            part.stop()
        for _, thread in self._parts:
            if thread.is_alive():
                thread.join()

    def applied(self, connection: sqlite3.Connection, row: Row) -> None:
        """Add a newly stored row of the journal to what is published, in its transaction."""
        if self._config.served is not None and (body := served_message(row)) is not None:
            key = row.decision_id if isinstance(row, DecisionRow) else row.id
            put_outgoing(connection, OutgoingRow(self._config.served, key, body))

    def state(self) -> dict[str, object]:
        """For /readyz: whether brokers answer, what is wrong, and how many messages were not read or not published."""
        reasons, state = [self._publisher.reason], {}
        if self._consumer is not None:
            reading = self._consumer.state
            reasons.insert(0, reading.reason)
            state = {"connected": reading.connected, "lag": reading.lag}
        reason = "; ".join(reason for reason in reasons if reason)
        return {**state, "unpublished": self._journal.unpublished(), "reason": reason}
