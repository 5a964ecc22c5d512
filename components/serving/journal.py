"""The service's durable log: an SQLite database into which decisions and tracked events are written in groups.

One thread writes. It takes all that waits, writes it in one transaction, and answers when SQLite has synced it to disk
(write-ahead log, synchronous FULL): a row whose future is done survives `kill -9` and a power cut, and a row is stored
once however often it is sent. `served_log.py` adds complete days to the data set, notes them in `collected` (days since
1970), and deletes their rows some days later.
"""

import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from components.settings.errors import Unavailable

FILE = "journal.db"
MAX_WAITING = 10_000  # submissions; beyond it, requests are refused instead of waiting ever longer
MAX_GROUP = 1_000  # submissions of one transaction
BUSY_SECONDS = 10
JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
STORED, DUPLICATE, CONFLICT = "stored", "duplicate", "conflict"
SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    decision_id TEXT PRIMARY KEY, moment INTEGER NOT NULL, shopper_id TEXT, campaign TEXT NOT NULL,
    position INTEGER NOT NULL, creative_id TEXT NOT NULL, propensity REAL NOT NULL, logging_policy TEXT NOT NULL,
    request_id TEXT, placement TEXT, context TEXT NOT NULL, candidates TEXT NOT NULL, campaign_propensity REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_by_time ON decisions (moment);
CREATE TABLE IF NOT EXISTS tracked (
    kind TEXT NOT NULL, id TEXT NOT NULL, moment INTEGER NOT NULL, ingested INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tracked_by_time ON tracked (kind, moment);
CREATE TABLE IF NOT EXISTS collected (day INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS faults (moment INTEGER NOT NULL, why TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (
    consumer_group TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outgoing (
    number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL);
"""
HAS_COLUMN = "SELECT 1 FROM pragma_table_info('decisions') WHERE name = 'campaign_propensity'"


class JournalFailed(Unavailable):
    """A row could not be written, so it must be sent again."""


@dataclass(frozen=True)
class DecisionRow:
    """A decision as it is logged. context: `context_*` columns; candidates: every eligible creative's probability;
    campaign_propensity: the campaign's; None in rows of earlier releases.
    """

    decision_id: str
    moment: int
    shopper_id: str | None
    campaign: str
    position: int
    creative_id: str
    propensity: float
    logging_policy: str
    request_id: str | None
    placement: str | None
    context: dict[str, object]
    candidates: dict[str, float]
    campaign_propensity: float | None = None


@dataclass(frozen=True)
class TrackedRow:
    """Something that happened: `kind` and `id` are its key. moment, ingested: when it happened and came, microseconds;
    body: its other fields. Sent again with the same body it is a duplicate, with another one a conflict.
    """

    kind: str
    id: str
    moment: int
    ingested: int
    body: dict[str, object]


@dataclass(frozen=True)
class FaultRow:
    """A message that contradicts the log, with the reason."""

    moment: int
    why: str
    body: dict[str, object]


@dataclass(frozen=True)
class PositionRow:
    """Messages of a topic's partition before the offset `next` have been stored, for a consumer group."""

    consumer_group: str
    topic: str
    partition: int
    next: int


@dataclass(frozen=True)
class OutgoingRow:
    """A message that is to be published."""

    topic: str
    key: str
    body: dict[str, object]


@dataclass(frozen=True)
class PublishedRow:
    """All outgoing messages up to `number` have been published, and need not be kept."""

    number: int


Row = DecisionRow | TrackedRow | FaultRow | PositionRow | OutgoingRow | PublishedRow


class Journal:
    """The open journal in a folder. Its owner holds the folder's lock: one process writes."""

    def __init__(
        self,
        folder: Path,
        applied: Callable[[sqlite3.Connection, Row], None] = lambda connection, row: None,
        settled: Callable[[bool], None] = lambda stored: None,
    ):
        """applied: called for each newly stored row, in its transaction. settled: called after each transaction, before
        its submissions are answered, with whether it was stored.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / FILE
        self._applied, self._settled = applied, settled
        self._waiting: queue.Queue = queue.Queue(MAX_WAITING)
        self._reader, self._reading = connect(self.path), threading.Lock()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def submit(self, rows: Sequence[Row]) -> "Future[list[str]]":
        """The outcome of each row (STORED, DUPLICATE, CONFLICT) once all are durable.

        The future raises JournalFailed, and none of the rows is stored, if the disk is full or fails. If it is
        cancelled before the writing thread takes the rows, none of them is stored; afterwards all are.
        """
        future: Future[list[str]] = Future()
        try:
            self._waiting.put_nowait((tuple(rows), future))
        except queue.Full:
            future.set_exception(JournalFailed("too many rows wait to be written"))
        return future

    def decision(self, decision_id: str) -> DecisionRow | None:
        """The stored decision; None if there is none, or it is too old to be kept."""
        with self._reading:
            row = self._reader.execute("SELECT * FROM decisions WHERE decision_id = ?", (decision_id,)).fetchone()
        return None if row is None else decision_of(row)

    @property
    def waiting(self) -> int:
        """Number of submissions that wait to be written."""
        return self._waiting.qsize()

    def positions(self, consumer_group: str) -> dict[tuple[str, int], int]:
        """(topic, partition) -> the offset of the next message to read."""
        query = "SELECT topic, part, next FROM positions WHERE consumer_group = ?"
        with self._reading:
            return {(topic, part): next_ for topic, part, next_ in self._reader.execute(query, (consumer_group,))}

    def outgoing(self, count: int) -> list[tuple[int, str, str, str]]:
        """The first `count` messages that are to be published: number, topic, key, JSON."""
        query = "SELECT number, topic, key, body FROM outgoing ORDER BY number LIMIT ?"
        with self._reading:
            return self._reader.execute(query, (count,)).fetchall()

    def unpublished(self) -> int:
        """Number of messages that are to be published."""
        with self._reading:
            return self._reader.execute("SELECT count(*) FROM outgoing").fetchone()[0]

    def close(self) -> None:
        """Write what waits, and close the database."""
        self._waiting.put((None, None))
        self._writer.join()
        with self._reading:
            self._reader.close()

    def _write(self) -> None:
        with closing(connect(self.path)) as connection:
            open_ = True
            while open_:
                group = [self._waiting.get()]
                while len(group) < MAX_GROUP and not self._waiting.empty():
                    group.append(self._waiting.get_nowait())
                open_ = all(rows is not None for rows, _ in group)
                submissions = [(rows, future) for rows, future in group if rows is not None]
                # a submission whose request ended meanwhile is left out; from here on it can no longer be taken back
                self._commit(connection, [one for one in submissions if one[1].set_running_or_notify_cancel()])

    def _commit(self, connection: sqlite3.Connection, group: list) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [[self._store(connection, row) for row in rows] for rows, _ in group]
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._settled(False)
            for _, future in group:
                future.set_exception(JournalFailed(f"the journal cannot be written ({error}); send it again"))
            return
        self._settled(True)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            future.set_result(outcome)

    def _store(self, connection: sqlite3.Connection, row: Row) -> str:
        outcome = _insert(connection, row)
        if outcome == STORED:
            self._applied(connection, row)
        return outcome


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the journal at `path`, which is created if needed; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    if not connection.execute(HAS_COLUMN).fetchone():  # a journal of an earlier release
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute(HAS_COLUMN).fetchone():  # nor has another process added it meanwhile
            connection.execute("ALTER TABLE decisions ADD COLUMN campaign_propensity REAL")
        connection.execute("COMMIT")
    return connection


def decision_of(row: tuple) -> DecisionRow:
    """The decision in a row of the table `decisions`."""
    values = (*row[:-3], json.loads(row[-3]), json.loads(row[-2]), row[-1])
    return DecisionRow(**dict(zip(DecisionRow.__dataclass_fields__, values, strict=True)))


def put_outgoing(connection: sqlite3.Connection, row: OutgoingRow) -> None:
    """Add a message to those that are to be published, in the transaction of `connection`."""
    values = (row.topic, row.key, _text(row.body))
    connection.execute("INSERT INTO outgoing (topic, key, body) VALUES (?, ?, ?)", values)


def _insert(connection: sqlite3.Connection, row: Row) -> str:
    if isinstance(row, TrackedRow):
        return _insert_tracked(connection, row)
    if isinstance(row, DecisionRow):
        fields = asdict(row) | {"context": _text(row.context), "candidates": _text(row.candidates)}
        connection.execute(f"INSERT INTO decisions VALUES ({', '.join('?' * len(fields))})", (*fields.values(),))
    elif isinstance(row, FaultRow):
        connection.execute("INSERT INTO faults VALUES (?, ?, ?)", (row.moment, row.why, _text(row.body)))
    elif isinstance(row, PositionRow):
        values = (row.consumer_group, row.topic, row.partition, row.next)
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", values)
    elif isinstance(row, OutgoingRow):
        put_outgoing(connection, row)
    else:
        connection.execute("DELETE FROM outgoing WHERE number <= ?", (row.number,))
    return STORED


def _insert_tracked(connection: sqlite3.Connection, row: TrackedRow) -> str:
    body = _text(row.body)
    values = (row.kind, row.id, row.moment, row.ingested, body)
    done = connection.execute("INSERT INTO tracked VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)
    if done.rowcount:
        return STORED
    stored = connection.execute("SELECT body FROM tracked WHERE kind = ? AND id = ?", (row.kind, row.id)).fetchone()
    return DUPLICATE if stored[0] == body else CONFLICT


def _text(value: dict) -> str:
    return JSON.encode(value)
