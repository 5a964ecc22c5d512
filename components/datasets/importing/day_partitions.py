"""The contract's tables in DuckDB -> data/NAME: new days as partitions, rows of earlier days beside them, all at once.

What is there already stays: a row whose id is there is not written again, and one that contradicts it stops the import.
Conversions follow the contract: null until their window has passed, and those that have become final since lie beside
their day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from components.contract.card import CARD_FILE, DatasetCard, read_card, write_card
from components.contract.conform import conform
from components.contract.files.late_rows import late_name
from components.contract.files.settlements import CONVERSION_COLUMNS, SETTLED_PREFIX, SETTLEMENT_COLUMNS
from components.contract.files.tables import has_table, write_batches
from components.contract.schema import ARROW, TABLES
from components.datasets.importing.contract_views import ContractTables
from components.datasets.importing.mapping import Mapping
from components.datasets.importing.sql_text import sql_name
from components.datasets.pull import settled_only
from components.settings.errors import UserError

LOGS = {"impressions": "impression_id", "events": "event_id"}
SMALL = ("campaigns", "creatives", "products", "shoppers", "images")
BATCH = 50_000
PART = "part-0.parquet"
FAR_PAST, FAR_FUTURE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Written:
    """What an import has added: rows by table, days, rows of earlier days, conversions that became final."""

    card: DatasetCard
    rows: dict[str, int]
    days: int
    late: int
    settled: int


def write_tables(tables: ContractTables, mapping: Mapping, name: str, source: str, fresh: UPath) -> Written:
    """Add the tables to the data set in the folder `fresh`, which may be empty; its card is brought up to date."""
    held = read_card(fresh) if (fresh / CARD_FILE).exists() else None
    ends_at = _end_of_log(tables, held)
    card = DatasetCard(
        name=name,
        source=held.source if held else source,
        licence=mapping.licence,
        real=held.real if held else (),
        simulated=(),
        currency=mapping.currency,
        conversion_window_days=mapping.conversion_window_days,
        ends_at=ends_at,
    )
    rows, days, late, settled = {}, 0, 0, 0
    for table, key in LOGS.items():
        if table not in tables.present:
            continue
        _hold(tables, table, fresh)
        _refuse_contradictions(tables, table, key, fresh)
        if table == "impressions" and held is not None:
            settled = _write_settled(tables, card, fresh)
        counts = _write_days(tables, table, key, fresh, card=card, held=held)
        rows[table] = sum(counts.values())
        late += sum(count for day, count in counts.items() if held is not None and day < held.ends_at.date())
        days = max(days, len([day for day in counts if held is None or day >= held.ends_at.date()]))
    for table in SMALL:
        if table in tables.present:
            rows[table] = _write_small(tables, table, fresh)
    card = card.model_copy(update={"real": tuple(table for table in TABLES if has_table(fresh, table))})
    write_card(card, fresh)
    return Written(card, rows, days, late, settled)


def _end_of_log(tables: ContractTables, held: DatasetCard | None) -> datetime:
    """Midnight after the newest row of a log."""
    known = [held.ends_at] if held else []
    for table in LOGS:
        if table in tables.present:
            low, high = tables.connection.execute(
                f'SELECT epoch_us(min("timestamp")), epoch_us(max("timestamp")) FROM {tables.view(table)}'
            ).fetchone()
            if high is None:
                raise UserError(f"{table}: no row has a time")
            moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number) for number in (low, high)]
            if moments[0] < FAR_PAST or moments[1] >= FAR_FUTURE:
                raise UserError(f"{table}: times from {moments[0]:%Y-%m-%d} to {moments[1]:%Y-%m-%d}, which no log has")
            known.append(datetime.combine(moments[1].date(), datetime.min.time(), UTC) + timedelta(days=1))
    return max(known, default=FAR_PAST)


def _hold(tables: ContractTables, table: str, fresh: UPath) -> None:
    """A view `held_<table>` of the rows that the data set has."""
    view = tables.view(table)
    files = [
        file for file in sorted((fresh / table).glob("day=*/*.parquet")) if not file.name.startswith(SETTLED_PREFIX)
    ]
    if not files:
        tables.connection.execute(f"CREATE OR REPLACE VIEW held_{table} AS SELECT * FROM {view} LIMIT 0")
        return
    listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    tables.connection.execute(
        f"CREATE OR REPLACE VIEW held_{table} AS "
        f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    )


def _refuse_contradictions(tables: ContractTables, table: str, key: str, fresh: UPath) -> None:
    there = {row[0] for row in tables.connection.execute(f"DESCRIBE held_{table}").fetchall()}
    columns = [column for column in tables.columns(table) if column in there and column not in CONVERSION_COLUMNS]
    for column in columns:
        differing = tables.connection.execute(
            f'SELECT n."{key}", o.{sql_name(column)}, n.{sql_name(column)} FROM {tables.view(table)} n '
            f'JOIN held_{table} o USING ("{key}") '
            f"WHERE n.{sql_name(column)} IS DISTINCT FROM o.{sql_name(column)} ORDER BY 1 LIMIT 1"
        ).fetchone()
        if differing:
            raise UserError(
                f"{table}: {key} {differing[0]} is in the data set already with {column} {differing[1]}, and the "
                f"file says {differing[2]}"
            )


def _write_days(
    tables: ContractTables, table: str, key: str, fresh: UPath, *, card: DatasetCard, held: DatasetCard | None
) -> dict[date, int]:
    """Day -> how many new rows of it were written."""
    connection = tables.connection
    names = tables.columns(table)
    shown = ", ".join(map(sql_name, names))
    there = f'SELECT 1 FROM held_{table} o WHERE o."{key}" = n."{key}"'
    new = f"(SELECT * FROM {tables.view(table)} n WHERE NOT EXISTS ({there}))"
    days = connection.execute(f'SELECT DISTINCT CAST("timestamp" AS DATE) FROM {new} ORDER BY 1').fetchall()
    counts: dict[date, int] = {}
    for (day,) in days:
        rows = (
            f"SELECT {shown} FROM {new} WHERE \"timestamp\" >= TIMESTAMPTZ '{day} 00:00:00+00' "
            f'AND "timestamp" < TIMESTAMPTZ \'{day + timedelta(days=1)} 00:00:00+00\' ORDER BY "timestamp", "{key}"'
        )
        folder = fresh / table / f"day={day}"
        late = held is not None and day < held.ends_at.date()
        target = folder / (late_name(card.ends_at) if late else PART)
        batches = _batches(connection, rows, table)
        if target.exists():
            batches = _after(target, table, batches)
        counts[day] = write_batches(settled_only(batches, card) if table == "impressions" else batches, target)
        if "candidates" in tables.present and table == "impressions":
            _write_candidates(tables, rows, folder / target.name)
    return counts


def _after(path: UPath, table: str, batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The rows of a file, then those of `batches`."""
    yield pq.read_table(str(path))
    yield from batches


def _write_candidates(tables: ContractTables, rows: str, beside: UPath) -> None:
    """The candidates of these impressions."""
    query = (
        f"SELECT c.impression_id, c.creative_id, c.propensity FROM {tables.view('candidates')} c "
        f'JOIN ({rows}) i USING (impression_id) ORDER BY i."timestamp", c.impression_id, c.creative_id'
    )
    target = beside.parent.parent.parent / "candidates" / beside.parent.name / beside.name
    write_batches(_batches(tables.connection, query, "candidates"), target)


def _batches(connection, query: str, table: str) -> Iterator[pa.Table]:
    reader = connection.cursor().sql(query).to_arrow_reader(BATCH)
    for batch in reader:
        if batch.num_rows:
            yield conform(pa.Table.from_batches([batch]), TABLES[table], "the import")


def _write_settled(tables: ContractTables, card: DatasetCard, fresh: UPath) -> int:
    """Conversions of impressions that are there, which were open and are final now."""
    filled = ", ".join(f"n.{column}" for column in CONVERSION_COLUMNS)
    query = (
        f'SELECT n.impression_id, n."timestamp", n.click, {filled} FROM {tables.view("impressions")} n '
        "JOIN held_impressions o USING (impression_id) WHERE o.conversion IS NULL AND n.conversion IS NOT NULL "
        'AND o.click = 1 ORDER BY n."timestamp", 1'
    )
    done = _settled_before(fresh)
    days: dict[date, list[pa.Table]] = {}
    batches = (
        batch.select(["impression_id", "timestamp", "click", *CONVERSION_COLUMNS])
        for batch in _raw_batches(tables.connection, query)
    )
    for batch in settled_only(batches, card):
        for row in batch.to_pylist():
            if row["conversion"] is not None and row["impression_id"] not in done:
                days.setdefault(row["timestamp"].astimezone(UTC).date(), []).append(row)
    count = 0
    for day, rows in days.items():
        schema = pa.schema([(name, _type(name)) for name in SETTLEMENT_COLUMNS])
        table = pa.Table.from_pylist([{name: row[name] for name in SETTLEMENT_COLUMNS} for row in rows], schema)
        target = fresh / "impressions" / f"day={day}" / f"{SETTLED_PREFIX}{card.ends_at:%Y-%m-%d}.parquet"
        count += write_batches(_after(target, "impressions", iter([table])) if target.exists() else [table], target)
    return count


def _type(name: str) -> pa.DataType:
    return ARROW[TABLES["impressions"].column(name).kind]


def _settled_before(fresh: UPath) -> set[str]:
    files = (fresh / "impressions").glob(f"day=*/{SETTLED_PREFIX}*.parquet")
    return {key for file in files for key in pq.read_table(str(file))["impression_id"].to_pylist()}


def _raw_batches(connection, query: str) -> Iterator[pa.Table]:
    for batch in connection.cursor().sql(query).to_arrow_reader(BATCH):
        if batch.num_rows:
            yield conform(pa.Table.from_batches([batch]), TABLES["impressions"], "the import", (), fill=False)


def _write_small(tables: ContractTables, table: str, fresh: UPath) -> int:
    """The table whole: a file's rows in the place of those of their ids, others as they are."""
    names = tables.columns(table)
    (key,) = TABLES[table].key
    target = fresh / f"{table}.parquet"
    view = tables.view(table)
    query = f"SELECT {', '.join(map(sql_name, names))} FROM {view}"
    if target.exists():
        held = f"read_parquet('{str(target).replace(chr(39), chr(39) * 2)}')"
        query = _with_held(tables, table, query, held)
    return write_batches(_batches(tables.connection, f"SELECT * FROM ({query}) ORDER BY {key}", table), target)


def _with_held(tables: ContractTables, table: str, query: str, held: str) -> str:
    """The rows of `query` and of `held`; of one id a file's row counts, or the one that is there before a derived one.

    A derived campaign lasts as long as its impressions.
    """
    (key,) = TABLES[table].key
    if table not in tables.derived:
        given = f"SELECT {key} FROM {tables.view(table)} WHERE {key} IS NOT NULL"
        return f"SELECT * FROM ({query}) UNION ALL BY NAME SELECT * FROM {held} o WHERE o.{key} NOT IN ({given})"
    new = f"SELECT * FROM ({query}) n WHERE n.{key} NOT IN (SELECT {key} FROM {held})"
    both = f"SELECT * FROM {held} UNION ALL BY NAME {new}"
    if table != "campaigns":
        return both
    return (
        "SELECT u.* REPLACE (least(u.starts_at, coalesce(n.starts_at, u.starts_at)) AS starts_at, "
        f"greatest(u.ends_at, coalesce(n.ends_at, u.ends_at)) AS ends_at) FROM ({both}) u LEFT JOIN "
        f"(SELECT campaign, starts_at, ends_at FROM {tables.view(table)}) n USING (campaign)"
    )
