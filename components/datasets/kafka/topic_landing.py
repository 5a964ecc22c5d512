"""The messages of topics in Parquet files, where reading goes on after the last one: the landing of a Kafka source.

A file has the rows of a range of offsets of one partition; its name says which, so what is on disk is the position.
Offsets are committed to Kafka after the file is durable. Messages that are no rows go to the folder `malformed`, with
place and reason.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from upath import UPath

from components.contract.files.tables import write_table
from components.datasets.kafka.topic_rows import RowFault, read_row, rows_table
from components.datasets.source_protocol import SourceFailed
from components.settings.kafka_client import kafka_library
from components.settings.sections import SourceConfig

log = logging.getLogger("adloom")

MALFORMED = "malformed"
ANSWER_SECONDS = 10.0
SILENT_SECONDS = 30.0  # without a message that is due
AT_ONCE = 1_000  # messages of one call
FILE = re.compile(r"(?P<part>\d+)-(?P<first>\d+)-(?P<next>\d+)\.parquet")


@dataclass(frozen=True)
class Topics:
    """Topics to read: the contract table of each. client: a consumer; folder: of the files."""

    client: Any
    tables: Mapping[str, str]
    folder: Path
    config: SourceConfig

    def land(self) -> None:
        """Read what is in the topics now and not yet on disk. SourceFailed if the cluster fails."""
        kafka = kafka_library()
        try:
            known = self.client.list_topics(timeout=ANSWER_SECONDS).topics
            for topic, table in self.tables.items():
                for part in sorted(known[topic].partitions) if topic in known else ():
                    self._land_partition(kafka, kafka.TopicPartition(topic, part), table)
        except kafka.KafkaException as error:
            cause = error.args[0]
            raise SourceFailed(f"Kafka: {cause.str()}", cause.code() in _transient(kafka)) from None

    def _land_partition(self, kafka, place, table: str) -> None:
        low, high = self.client.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        start = position(self.folder, table, place.partition)
        if start is not None and start > high:
            behind = f"the topic {place.topic} ends at offset {high} of partition {place.partition}, before {start}"
            raise SourceFailed(f"{behind}, which was read: it was created anew, or its broker is behind", True)
        if start is not None and start < low:
            log.error(
                "%s/%s: %s messages were deleted before they were read", place.topic, place.partition, low - start
            )
        if start is not None:  # a pull that was cut may not have committed it
            self._commit(kafka, place, start)
        start = low if start is None else max(start, low)
        for first, batch, after in self._batches(kafka, place, start, high):
            self._write(table, place, batch, range(first, after))
            self._commit(kafka, place, after)

    def _commit(self, kafka, place, offset: int) -> None:
        self.client.commit(offsets=[kafka.TopicPartition(place.topic, place.partition, offset)], asynchronous=False)

    def _batches(self, kafka, place, start: int, end: int) -> Iterator[tuple[int, list, int]]:
        """First offset, messages, and the offset after them, `source.batch_rows` at a time, up to `end`."""
        self.client.assign([kafka.TopicPartition(place.topic, place.partition, start)])
        first, batch, ended = start, [], start >= end
        while not ended:
            messages = (
                self.client.consume(AT_ONCE, SILENT_SECONDS) if end - start >= AT_ONCE else self._few(end - start)
            )
            if not messages:
                raise SourceFailed(f"Kafka: no message of {place.topic} for {SILENT_SECONDS:g} seconds", True)
            for message in messages:
                error = message.error()
                if error is not None and error.code() != kafka.KafkaError._PARTITION_EOF:
                    raise kafka.KafkaException(error)
                if error is None and message.offset() < end:
                    batch.append(message)
                    start = message.offset() + 1
                ended = ended or error is not None or start >= end
            if ended or len(batch) >= self.config.batch_rows:
                yield first, batch, end if ended else start
                first, batch = start, []

    def _few(self, count: int) -> list:
        """Up to `count` messages, without waiting for more than there are."""
        message = self.client.poll(SILENT_SECONDS)
        return [] if message is None else [message, *self.client.consume(count, 0)]

    def _write(self, table: str, place, batch: Sequence, offsets: range) -> None:
        rows, faults = [], []
        for message in batch:
            try:
                rows.append(read_row(table, message.value(), self.config.naive_times == "utc"))
            except RowFault as fault:
                faults.append((message, str(fault)))
        try:
            landed = rows_table(table, rows)
        except RowFault as fault:
            raise SourceFailed(f"{fault}, in the topic {place.topic} after offset {offsets.start}", False) from None
        name = f"{place.partition}-{offsets.start}-{offsets.stop}.parquet"
        if faults:
            self._write_faults(table, faults, name)
        write_table(landed, UPath(self.folder / table / name))

    def _write_faults(self, table: str, faults: Sequence[tuple], name: str) -> None:
        path = self.folder / MALFORMED / table / name
        columns = {
            "topic": [message.topic() for message, _ in faults],
            "partition": [message.partition() for message, _ in faults],
            "offset": [message.offset() for message, _ in faults],
            "reason": [reason for _, reason in faults],
            "value": pa.array([message.value() for message, _ in faults], pa.binary()),
        }
        write_table(pa.table(columns), UPath(path))
        first, reason = faults[0]
        place = f"{first.topic()}/{first.partition()}/{first.offset()}"
        log.warning("%s messages are no rows of %s, such as %s (%s): %s", len(faults), table, place, reason, path)


def position(folder: Path, table: str, part: int) -> int | None:
    """The offset after the last message of a partition that is on disk; None if there is none."""
    names = [FILE.fullmatch(path.name) for path in (folder / table).glob(f"{part}-*.parquet")]
    return max((int(name["next"]) for name in names if name), default=None)


def landed_files(folder: Path, table: str) -> list[Path]:
    """The files of a table, by partition and offset."""
    files = [(FILE.fullmatch(path.name), path) for path in (folder / table).glob("*.parquet")]
    return [
        path for name, path in sorted((f for f in files if f[0]), key=lambda f: (int(f[0]["part"]), int(f[0]["first"])))
    ]


def _transient(kafka) -> tuple:
    codes = kafka.KafkaError
    return codes._TRANSPORT, codes._TIMED_OUT, codes._ALL_BROKERS_DOWN, codes._RESOLVE
