"""A source of rows: topics of a Kafka cluster, `kafka://HOST:PORT/PREFIX`, named PREFIX.impressions, PREFIX.events, ...

A message is one row of the contract's table as JSON. Each pull first lands what is new in files (topic_landing.py), and
then reads these like the files of a folder, so a pull needs no message again that Kafka has meanwhile deleted. Of rows
with equal keys the last one of a partition counts.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from components.contract.schema import TABLES
from components.datasets.kafka.topic_landing import Topics, landed_files
from components.datasets.table_source import TableSnapshot
from components.settings.environment import expand
from components.settings.errors import UserError, first_line
from components.settings.kafka_client import client_properties, make_client
from components.settings.sections import SourceConfig

GROUP = "adloom-pull"
OURS = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 100,
}


@dataclass(frozen=True)
class KafkaAddress:
    """servers: `host:port`, several with commas; prefix: of the topics; options: `group`, and properties of clients."""

    servers: str
    prefix: str
    options: dict[str, str]

    @property
    def place(self) -> str:
        """The source's name in a data set's card."""
        return f"kafka://{self.servers}/{self.prefix}"

    @property
    def folder(self) -> Path:
        """Where the messages land, in the state folder."""
        state = Path(os.environ.get("ADLOOM_STATE", ".adloom"))
        return state / "topics" / sha256(self.place.encode()).hexdigest()[:16]


class LandedTopics(TableSnapshot):
    """A snapshot of the landed files."""

    def __init__(self, address: KafkaAddress, config: SourceConfig) -> None:
        self.folder = address.folder
        names = [name for name in TABLES if landed_files(self.folder, name)]
        super().__init__(names, config, address.place)

    def read(self, name: str, begin: datetime | None, end: datetime | None) -> pa.Table:
        """The rows in [begin, end); for `candidates`, those of that span's impressions."""
        return self._files(name).to_table(filter=self._within(name, begin, end))

    def first_time(self) -> datetime | None:
        """The time of the first impression; None without impressions."""
        return pc.min(self._times()).as_py()

    def complete_until(self) -> datetime | None:
        """The begin of the newest impression's day, since more impressions may come on that day."""
        newest = pc.max(self._times()).as_py()
        return newest and newest.replace(hour=0, minute=0, second=0, microsecond=0)

    def untimed(self, name: str) -> int:
        """0: a message without a time is no row."""
        return 0

    def _times(self) -> pa.ChunkedArray:
        return self._files("impressions").to_table(columns=["timestamp"])["timestamp"]

    def _files(self, name: str) -> ds.Dataset:
        files = landed_files(self.folder, name)
        try:
            schema = pa.unify_schemas([pq.read_schema(file) for file in files])
        except pa.ArrowInvalid as error:
            raise UserError(f"{name}: the types of {self.place} change: {first_line(error)}") from None
        return ds.dataset([str(file) for file in files], schema=schema)

    def _within(self, name: str, begin: datetime | None, end: datetime | None) -> ds.Expression | None:
        if begin is None or end is None:
            return None
        if name == "candidates":
            shown = self._files("impressions").to_table(
                columns=["impression_id"], filter=self._within("impressions", begin, end)
            )
            return ds.field("impression_id").isin(shown["impression_id"].combine_chunks())
        if TABLES[name].column("timestamp") is None:
            return None
        kind = pa.timestamp("us", "UTC")
        at = ds.field("timestamp")
        return (at >= pa.scalar(begin, kind)) & (at < pa.scalar(end, kind))


def place(config: SourceConfig) -> str:
    """Servers and prefix, for the data set's card, without options."""
    return _address(config).place


@contextmanager
def snapshot(config: SourceConfig) -> Iterator[LandedTopics]:
    """The topics as they are now, landed; UserError for a wrong URL, SourceFailed if the cluster fails."""
    address = _address(config)
    address.folder.mkdir(parents=True, exist_ok=True)
    with (address.folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another pull from {address.place} is running") from None
        _land(address, config)
        yield LandedTopics(address, config)


def _land(address: KafkaAddress, config: SourceConfig) -> None:
    options = dict(address.options)
    ours = {**OURS, "group.id": options.pop("group", GROUP)}
    client = make_client("Consumer", client_properties(address.servers, options, ours))
    try:
        topics = {f"{address.prefix}.{name}": name for name in TABLES}
        Topics(client, topics, address.folder, config).land()
    finally:
        client.close()


def _address(config: SourceConfig) -> KafkaAddress:
    text = expand(config.url) if config.url.startswith("${") else config.url
    parts = urlsplit(str(text))
    prefix = parts.path.strip("/")
    if not parts.netloc or not prefix or "/" in prefix or "@" in parts.netloc:
        raise UserError(
            "source.url: write kafka://HOST:PORT/PREFIX for topics PREFIX.impressions and so on; credentials as "
            "?sasl.username=${NAME}&sasl.password=${NAME}"
        )
    options = {name: expand(value) for name, value in parse_qsl(parts.query)}
    return KafkaAddress(expand(unquote(parts.netloc)), prefix, options)
