"""Each shopper's events and shown ads, from which the features of the next request are computed.

The rows stand in the journal's database and change in the transaction that stores an event, so the next decision knows
it. Only shoppers who may be known have any; the rows of one who withdraws consent are deleted. Rows of the data set's
log are loaded when a policy first needs them, and rows older than the time-to-live are neither read nor kept.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from components.contract.files.tables import has_table, read_table
from components.features.pairs.pair_history import known_moments
from components.features.shoppers.one_shopper import ShopperRows
from components.features.timeline import microseconds
from components.serving.journal import Row, TrackedRow, connect
from components.serving.tracking import CLICK, EVENT, IMPRESSION

DAY = 86_400_000_000  # microseconds
ROWS_AT_ONCE = 20_000  # of one transaction while a log is loaded
SCHEMA = """
CREATE TABLE IF NOT EXISTS history_events (
    shopper_id TEXT NOT NULL, moment INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, product_id TEXT, text TEXT,
    value REAL, PRIMARY KEY (shopper_id, moment, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history_shown (
    shopper_id TEXT NOT NULL, moment INTEGER NOT NULL, id TEXT NOT NULL, campaign TEXT NOT NULL,
    creative_id TEXT NOT NULL, click INTEGER NOT NULL, PRIMARY KEY (shopper_id, moment, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history_loaded (log TEXT PRIMARY KEY);
"""
EVENT_ROW = "INSERT OR IGNORE INTO history_events VALUES (?, ?, ?, ?, ?, ?, ?)"
SHOWN_ROW = """INSERT INTO history_shown VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET click = max(click, excluded.click)"""
EVENTS = """SELECT moment, kind, product_id, text, value FROM history_events
WHERE shopper_id = ? AND moment >= ? AND moment < ? ORDER BY moment, id"""
SHOWN = """SELECT moment, campaign, creative_id, click FROM history_shown
WHERE shopper_id = ? AND moment >= ? AND moment < ? ORDER BY moment, id"""
SHOWN_IN = """SELECT campaign, count(*) FROM history_shown
WHERE shopper_id = ? AND moment >= ? AND moment < ? GROUP BY campaign"""
# every shopper of a table, each by one search of the key
SHOPPERS = """WITH RECURSIVE known(id) AS (
    SELECT min(shopper_id) FROM {table}
    UNION ALL SELECT (SELECT min(shopper_id) FROM {table} WHERE shopper_id > known.id) FROM known WHERE id IS NOT NULL)
SELECT id FROM known WHERE id IS NOT NULL"""
HISTORIES = ("history_events", "history_shown")
EVENT_COLUMNS = ("event_id", "timestamp", "shopper_id", "kind", "product_id", "text", "value", "ingested_at")
SHOWN_COLUMNS = ("impression_id", "timestamp", "shopper_id", "campaign", "creative_id", "click")


class HistoryStore:
    """The histories in the database at `path`. days: the time-to-live; may_know: whether a shopper may have any."""

    def __init__(self, path: Path, days: int, may_know: Callable[[str], bool]):
        self._path, self._keep, self._may_know = path, days * DAY, may_know
        self._reader, self._reading = connect(path), threading.Lock()
        self._reader.executescript(SCHEMA)

    def applied(self, connection: sqlite3.Connection, row: Row) -> None:
        """Update the history by a newly stored row of the journal, in its transaction."""
        if not isinstance(row, TrackedRow):
            return
        if row.kind == EVENT and self._may_know(str(row.body["shopper_id"])):
            fields = (row.body.get(name) for name in ("kind", "product_id", "text", "value"))
            known = max(row.moment, row.ingested)
            connection.execute(EVENT_ROW, (row.body["shopper_id"], known, row.id, *fields))
        elif row.kind in (IMPRESSION, CLICK):
            columns = "shopper_id, moment, decision_id, campaign, creative_id"
            decided = connection.execute(f"SELECT {columns} FROM decisions WHERE decision_id = ?", (row.id,)).fetchone()
            if decided is not None and self._may_know(decided[0]):
                connection.execute(SHOWN_ROW, (*decided, int(row.kind == CLICK)))

    def rows(self, shopper_id: str, moment: int) -> ShopperRows:
        """What is known of the shopper strictly before `moment`, within the time-to-live."""
        span = shopper_id, moment - self._keep, moment
        with self._reading:
            events, shown = (self._reader.execute(query, span).fetchall() for query in (EVENTS, SHOWN))
        return ShopperRows(tuple(events), tuple(shown))

    def shown_on(self, shopper_id: str, day: int) -> dict[str, int]:
        """How often the shopper was shown each campaign on a UTC day, in days since 1970."""
        with self._reading:
            return dict(self._reader.execute(SHOWN_IN, (shopper_id, day * DAY, (day + 1) * DAY)))

    def load(self, data: UPath, log: str, now: int) -> int:
        """Number of rows loaded from the data set in `data`; 0 if `log` (its name and end) was loaded before."""
        with closing(connect(self._path)) as connection:
            if connection.execute("SELECT 1 FROM history_loaded WHERE log = ?", (log,)).fetchone():
                return 0
            count = 0
            for statement, rows in ((EVENT_ROW, self._events(data, now)), (SHOWN_ROW, self._shown(data, now))):
                for start in range(0, len(rows), ROWS_AT_ONCE):
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(statement, _values(rows.iloc[start : start + ROWS_AT_ONCE]))
                    connection.execute("COMMIT")
                count += len(rows)
            connection.execute("INSERT OR REPLACE INTO history_loaded VALUES (?)", (log,))
        return count

    def prune(self, now: int) -> None:
        """Delete what is older than the time-to-live."""
        with closing(connect(self._path)) as connection:
            for table in HISTORIES:
                connection.execute(f"DELETE FROM {table} WHERE moment < ?", (now - self._keep,))

    def forget(self) -> int:
        """Delete the rows of all shoppers who may not be known; how many shoppers there were."""
        gone: set[str] = set()
        with closing(connect(self._path)) as connection:
            for table in HISTORIES:
                shoppers = [name for (name,) in connection.execute(SHOPPERS.format(table=table))]
                unknown = [name for name in shoppers if not self._may_know(name)]
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(f"DELETE FROM {table} WHERE shopper_id = ?", [(name,) for name in unknown])
                connection.execute("COMMIT")
                gone.update(unknown)
        return len(gone)

    def close(self) -> None:
        """Close the database."""
        with self._reading:
            self._reader.close()

    def _events(self, data: UPath, now: int) -> pd.DataFrame:
        if not has_table(data, "events"):
            return pd.DataFrame()
        events = read_table(data, "events", EVENT_COLUMNS)
        events = events.assign(moment=known_moments(events))
        return self._kept(events, now)[["shopper_id", "moment", "event_id", "kind", "product_id", "text", "value"]]

    def _shown(self, data: UPath, now: int) -> pd.DataFrame:
        if not has_table(data, "impressions"):
            return pd.DataFrame()
        shown = read_table(data, "impressions", SHOWN_COLUMNS)
        shown = shown.assign(moment=microseconds(shown["timestamp"]))
        columns = ["shopper_id", "moment", "impression_id", "campaign", "creative_id", "click"]
        return self._kept(shown, now)[columns]

    def _kept(self, rows: pd.DataFrame, now: int) -> pd.DataFrame:
        codes, names = pd.factorize(rows["shopper_id"])
        known = np.array([self._may_know(name) for name in names], dtype=bool)
        return rows[np.append(known, False)[codes] & (rows["moment"] >= now - self._keep).to_numpy()]


def _values(rows: pd.DataFrame) -> Iterator[tuple]:
    """The rows as tuples, with None for null."""
    return rows.astype(object).where(rows.notna(), None).itertuples(index=False, name=None)
