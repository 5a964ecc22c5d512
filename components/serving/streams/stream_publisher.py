"""The journal's outgoing messages, published in their order at least once.

A message joins them in the transaction that stores the row it is about, and leaves them after the broker has
acknowledged it. A kill between the two repeats it, with the same key and content.
"""

import logging
import threading
from itertools import takewhile

from components.serving.journal import Journal, PublishedRow
from components.serving.streams.stream_metrics import StreamMetrics
from components.settings.errors import first_line
from components.settings.kafka_client import client_properties, kafka_library, make_client
from components.settings.sections import KafkaConfig

log = logging.getLogger("adloom")

AT_ONCE = 500  # messages sent before their acknowledgements are waited for
IDLE_SECONDS = 0.1
RETRY_SECONDS = 1.0
OURS = {"enable.idempotence": True, "acks": "all", "linger.ms": 5}


class StreamPublisher:
    """Publishes what waits in the journal, from `run` until `stop`. reason: why it cannot, if so."""

    def __init__(self, config: KafkaConfig, journal: Journal, metrics: StreamMetrics):
        self._journal, self._metrics, self._stop = journal, metrics, threading.Event()
        self._kafka, self.reason = kafka_library(), ""
        self._client = make_client("Producer", client_properties(config.bootstrap_servers, config.client, OURS))

    def run(self) -> None:
        """Publish until `stop`; after an error, again."""
        while not self._stop.is_set():
            try:
                self._metrics.unpublished.set(self._journal.unpublished())
                sent = self._publish()
            except Exception as error:  # whatever it is, the messages wait in the journal
                self._say(first_line(error))
                sent = 0
            if not sent:
                self._stop.wait(RETRY_SECONDS if self.reason else IDLE_SECONDS)
        self._client.purge()

    def stop(self) -> None:
        """End `run`; what was not acknowledged is published after the next start."""
        self._stop.set()

    def _publish(self) -> int:
        """Number of the first waiting messages that were published."""
        rows = self._journal.outgoing(AT_ONCE)
        delivered: set[int] = set()
        for number, topic, key, body in rows:
            self._client.produce(topic, body.encode(), key.encode(), on_delivery=self._noting(number, delivered))
        while self._client.flush(1.0) and not self._stop.is_set():
            self._say("messages wait for a broker's acknowledgement")
        done = list(takewhile(delivered.__contains__, (row[0] for row in rows)))
        if done:
            self._journal.submit([PublishedRow(done[-1])]).result()
        if len(done) == len(rows):
            self._say("")
        return len(done)

    def _noting(self, number: int, delivered: set[int]):
        def note(error, message) -> None:
            if error is None:
                delivered.add(number)
            else:
                self._say(f"topic {message.topic()}: {error.str()}")

        return note

    def _say(self, reason: str) -> None:
        if reason != self.reason:
            log.log(logging.WARNING if reason else logging.INFO, "Kafka: %s", reason or "all messages are published")
        self.reason = reason
