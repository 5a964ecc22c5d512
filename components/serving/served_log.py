"""The journal's complete days as rows of the data contract, added to the data set like pulled ones (datasets/pull.py).

An impression is a decision whose ad was reported as shown or clicked, in the campaign and with the candidates and
propensities of its answer; its time is that of the decision. Behaviour is a row of `events`, with the time at which it
came as `ingested_at`. What is reported of a day's decisions counts until `serving.click_hours` after the day's end;
then the day is complete and is written once. Shoppers whom the data set does not know join it without consent, and new
creatives of a champion's pool join it with their images.
"""

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from components.contract.card import DatasetCard, read_card
from components.contract.files.atomic_files import recover_folder
from components.contract.files.late_rows import late_name
from components.contract.files.tables import files_of, has_table, read_table, write_table
from components.contract.schema import ARROW, TABLES, arrow_schema
from components.datasets.dataset_files import extended_copy
from components.datasets.dataset_lock import dataset_lock
from components.datasets.pull import Pulled, append_days
from components.datasets.sqlite_times import moment
from components.datasets.table_source import TableSnapshot
from components.serving.journal import FILE, DecisionRow, connect, decision_of
from components.serving.pool_copies import pool_copies
from components.serving.tracking import CLICK, CONVERSION, EVENT, FEEDBACK, IMPRESSION
from components.settings.errors import UserError
from components.settings.sections import Settings, SourceConfig

log = logging.getLogger("adloom")

DAY = 86_400_000_000  # microseconds
SHOWN = f"""
SELECT d.* FROM decisions d WHERE d.moment >= ? AND d.moment < ? AND EXISTS (
    SELECT 1 FROM tracked t WHERE t.id = d.decision_id AND t.kind IN ('{IMPRESSION}', '{CLICK}')
    AND t.ingested < (d.moment / {DAY} + 1) * {DAY} + ?)
ORDER BY d.moment, d.decision_id
"""
EVENTS = f"SELECT id, moment, ingested, body FROM tracked WHERE kind = '{EVENT}' AND moment >= ? AND moment < ?"
OUTCOMES = "SELECT kind, moment, ingested, body FROM tracked WHERE id = ? AND kind IN (?, ?, ?)"
ALWAYS, NEVER = -(2**62), 2**62
LOGS = ("impressions", "candidates", "events")
NO_CONVERSION: dict[str, object] = {"conversion": 0, "conversion_timestamp": None, "revenue": None}


class ServedLog(TableSnapshot):
    """A snapshot of the journal, and of the data set's tables that its rows refer to."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        tables: Mapping[str, pd.DataFrame],
        config: SourceConfig,
        *,
        now: int,
        click_hours: float,
        with_conversions: bool,
    ):
        """tables: campaigns, creatives and, if the data set has them, products and shoppers. now: microseconds.

        with_conversions: whether the data set's log tracks them.
        """
        self._connection, self._tables, self._now = connection, dict(tables), now
        self._grace, self._with_conversions = int(click_hours * 3_600_000_000), with_conversions
        super().__init__([*tables, *LOGS], config, "the service's journal")

    def complete_until(self) -> datetime:
        """The end of the last day of which nothing counts any more."""
        return moment((self._now - self._grace) // DAY * DAY)

    def read(self, name: str, begin: datetime | None, end: datetime | None) -> pa.Table:
        """Table `name`: see TableSnapshot."""
        if name not in LOGS:
            frame = self._shoppers() if name == "shoppers" else self._tables[name]
            return pa.Table.from_pandas(frame, preserve_index=False)
        span = _edge(begin, ALWAYS), _edge(end, NEVER)
        if name == "events":
            return self._events(span)
        decisions = [decision_of(row) for row in self._connection.execute(SHOWN, (*span, self._grace))]
        if name == "impressions":
            return _table(name, [self._impression(decision) for decision in decisions])
        return _table(
            name,
            [
                {"impression_id": decision.decision_id, "creative_id": creative_id, "propensity": propensity}
                for decision in decisions
                for creative_id, propensity in decision.candidates.items()
            ],
        )

    def _impression(self, decision: DecisionRow) -> dict:
        copied = ("shopper_id", "campaign", "position", "creative_id", "propensity", "logging_policy")
        row = {name: getattr(decision, name) for name in (*copied, "request_id", "placement")}
        row |= {"impression_id": decision.decision_id, "timestamp": moment(decision.moment), "click": 0}
        key = decision.decision_id, CLICK, CONVERSION, FEEDBACK
        conversion, limit = NO_CONVERSION, (decision.moment // DAY + 1) * DAY + self._grace
        for kind, when, ingested, body in self._connection.execute(OUTCOMES, key):
            if kind == CONVERSION:
                conversion = {"conversion": 1, "conversion_timestamp": moment(when), **json.loads(body)}
            elif ingested < limit:
                row |= {"click": 1} if kind == CLICK else json.loads(body)
        if self._with_conversions:
            row |= conversion if row["click"] else NO_CONVERSION
        return row | decision.context

    def _events(self, span: tuple[int, int]) -> pa.Table:
        rows = [
            {"event_id": event_id, "timestamp": moment(when), "ingested_at": moment(ingested), **json.loads(body)}
            for event_id, when, ingested, body in self._connection.execute(EVENTS, span)
        ]
        if "products" in self._tables:  # those of unknown products join as late rows once the products are known
            known = {None, *self._tables["products"]["product_id"]}
            rows = [row for row in rows if row.get("product_id") in known]
        return _table("events", rows)

    def _shoppers(self) -> pd.DataFrame:
        known = self._tables["shoppers"]
        named = {row[0] for row in self._connection.execute("SELECT DISTINCT shopper_id FROM decisions")}
        bodies = self._connection.execute(f"SELECT body FROM tracked WHERE kind = '{EVENT}'")
        named |= {json.loads(body)["shopper_id"] for (body,) in bodies}
        new = sorted(named - set(known["shopper_id"]))
        rows = pd.DataFrame({"shopper_id": new}).reindex(columns=known.columns).assign(consent=False)
        return pd.concat([known, rows], ignore_index=True) if new else known


def collect(name: str, data: UPath, folder: Path, settings: Settings, now: int) -> Pulled:
    """Add the complete days of the journal in `folder` to the data set in `data`. now: microseconds since 1970.

    Interrupted, it leaves complete days and continues with the next one. UserError if the data set cannot take them.
    """
    if not (folder / FILE).is_file():
        raise UserError(f"{name}: there is no journal in {folder}; `adloom serve {name}` writes one")
    with dataset_lock(name), closing(connect(folder / FILE)) as connection:
        recover_folder(data)
        card = read_card(data)
        with_conversions = _check(data, card)
        tables = {table: read_table(data, table) for table in ("campaigns", "creatives")}
        tables |= {table: read_table(data, table) for table in ("products", "shoppers") if has_table(data, table)}
        connection.execute("BEGIN")  # all queries see one state
        tables["creatives"], images = _with_pools(tables["creatives"], connection, folder)
        served = ServedLog(
            connection, tables, settings.source, now=now,
            click_hours=settings.serving.click_hours, with_conversions=with_conversions,
        )  # fmt: skip
        done, first = Pulled(name, card.ends_at), served.first_time()
        # days before the first served row are not written one by one
        begins = card.ends_at if first is None else max(card.ends_at, moment(_edge(first, 0) // DAY * DAY))
        if first is not None and begins < served.complete_until():
            _add_images(data, images, card)
            done = append_days(served, data, card.model_copy(update={"ends_at": begins}), settings.source)
        connection.execute("COMMIT")
        days = range(_edge(begins, 0) // DAY, _edge(done.ends_at, 0) // DAY)
        connection.executemany("INSERT OR IGNORE INTO collected VALUES (?)", [(day,) for day in days])
        _warn_of_left_out(name, connection, done.ends_at)
        _prune(connection, done.ends_at, max(settings.source.late_days, card.conversion_window_days) + 1)
    return done


def _check(data: UPath, card: DatasetCard) -> bool:
    """Whether the log tracks conversions. UserError if served rows cannot be added to it."""
    if card.simulator is not None:
        raise UserError(
            f"{card.name} is simulated, and its true click rates would not be those of served ads; copy it to a data "
            "set of another name, without `simulator` in its dataset.yaml, and serve that"
        )
    if not has_table(data, "impressions"):
        return True
    if not has_table(data, "candidates"):
        raise UserError(
            f"{card.name}: its log has no table candidates, and served rows need one, because requests may have a "
            "shortlist; the earlier rows would count as without any. Serve a data set of its own"
        )
    with files_of(data, "impressions")[0].open("rb") as file:
        return "conversion" in pq.read_schema(file).names


def _table(name: str, rows: Sequence[Mapping]) -> pa.Table:
    """Rows as table `name` in the contract's types; open columns in theirs."""
    if not rows:
        return arrow_schema(name).empty_table()
    names = list(dict.fromkeys(key for row in rows for key in row))
    kinds = {column.name: ARROW[column.kind] for column in TABLES[name].columns}
    return pa.table({key: pa.array([row.get(key) for row in rows], kinds.get(key)) for key in names})


def _with_pools(
    creatives: pd.DataFrame, connection: sqlite3.Connection, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`creatives` with those of champions' pools that were candidates, active since then; and the images of pools."""
    pools, images = pool_copies(folder)
    missing = pools[~pools["creative_id"].isin(creatives["creative_id"])]
    if missing.empty:
        return creatives, images.iloc[:0]
    first: dict[str, int] = {}
    for when, candidates in connection.execute("SELECT moment, candidates FROM decisions ORDER BY moment"):
        for creative_id in json.loads(candidates):
            first.setdefault(creative_id, when)
    new = missing[missing["creative_id"].isin(first)]
    since = pd.to_datetime([first[name] // DAY * DAY for name in new["creative_id"]], unit="us", utc=True)
    new = new.assign(active_from=since.as_unit("us"))
    images = images[images["image_id"].isin(new["image_id"])]
    joined = pd.concat([creatives, new.reindex(columns=creatives.columns)], ignore_index=True)
    return joined, images


def _add_images(data: UPath, images: pd.DataFrame, card: DatasetCard) -> None:
    if images.empty or not has_table(data, "images"):
        return
    known = read_table(data, "images")
    new = images[~images["image_id"].isin(known["image_id"])].reindex(columns=known.columns)
    if new.empty:
        return
    with extended_copy(data) as fresh:
        if (fresh / "images.parquet").exists():
            write_table(pd.concat([known, new], ignore_index=True), fresh / "images.parquet")
        else:
            write_table(new, fresh / "images" / f"day={card.ends_at:%Y-%m-%d}" / late_name(card.ends_at))


def _warn_of_left_out(name: str, connection: sqlite3.Connection, ends_at: datetime) -> None:
    """Say how many decisions are of days that the data set's log had before they could be added; they stay stored."""
    query = f"SELECT count(*) FROM decisions WHERE moment < ? AND moment / {DAY} NOT IN (SELECT day FROM collected)"
    (count,) = connection.execute(query, (_edge(ends_at, 0),)).fetchone()
    if count:
        log.warning(
            "%s: %s decisions are of days before the end of the data set's log, which came from elsewhere; of these "
            "days only late rows of the last source.late_days are added. The others stay in the journal",
            name,
            f"{count:,}",
        )


def _prune(connection: sqlite3.Connection, ends_at: datetime, days: int) -> None:
    """Delete rows of collected days that are more than `days` before the end of the log: nothing will ask for them."""
    limit = _edge(ends_at - timedelta(days=days), 0)
    connection.execute("BEGIN IMMEDIATE")
    for table, column in (("decisions", "moment"), ("tracked", "ingested"), ("faults", "moment")):
        query = f"DELETE FROM {table} WHERE {column} < ? AND {column} / {DAY} IN (SELECT day FROM collected)"
        connection.execute(query, (limit,))
    connection.execute("COMMIT")


def _edge(time: datetime | None, otherwise: int) -> int:
    return otherwise if time is None else (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
