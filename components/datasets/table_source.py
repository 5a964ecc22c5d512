"""A snapshot of a source that reads whole tables, with every method that a pull needs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.conform import conform
from components.contract.schema import TABLES
from components.settings.errors import UserError
from components.settings.sections import SourceConfig

DAY = timedelta(days=1)
IDS_PER_BATCH = 100_000  # ids looked up at a time


class TableSnapshot:
    """A snapshot whose subclasses read whole tables, or the rows of a span of time.

    names: the contract's tables that the source has; place: the source's name in messages.
    """

    def __init__(self, names: Sequence[str], config: SourceConfig, place: str) -> None:
        self.tables = tuple(name for name in TABLES if name in names)
        self.config, self.place = config, place
        for name, declared in TABLES.items():
            if declared.needed and name not in self.tables:
                raise UserError(f"{name}: {place} has no such table, and every data set needs it")

    def read(self, name: str, begin: datetime | None, end: datetime | None) -> pa.Table:
        """Table `name` in the source's types. Rows outside [begin, end) may be left out; None: unbounded."""
        raise NotImplementedError

    def first_time(self) -> datetime | None:
        """The time of the first impression; None without impressions."""
        return earliest(self.rows("impressions"))

    def complete_until(self) -> datetime | None:
        """The begin of the newest impression's day, since more impressions may come on that day."""
        newest = _moment(pc.max(self.rows("impressions")["timestamp"]))
        return newest and newest.replace(hour=0, minute=0, second=0, microsecond=0)

    def untimed(self, name: str) -> int:
        """Number of rows of a log without a time."""
        return self.rows(name)["timestamp"].null_count

    def between(self, name: str, begin: datetime, end: datetime) -> Iterator[pa.Table]:
        """Batches of the rows of a log in [begin, end); for candidates, those of the impressions in that span."""
        if name != "candidates":
            yield from self._batches(name, self._at(name, begin, end))
            return
        shown = self._at("impressions", begin, end).select(["impression_id", "timestamp"])
        offered = self.rows(name, begin, end)
        times = dict(zip(shown["impression_id"].to_pylist(), shown["timestamp"].to_pylist(), strict=True))
        offered = offered.filter(pc.is_in(offered["impression_id"], pa.array(times, offered["impression_id"].type)))
        at = pa.array([times[row] for row in offered["impression_id"].to_pylist()], shown["timestamp"].type)
        order = [("timestamp", "ascending"), ("impression_id", "ascending"), ("creative_id", "ascending")]
        yield from self._batches(name, offered.append_column("timestamp", at).sort_by(order).drop_columns("timestamp"))

    def ids(self, name: str) -> list[str]:
        """The keys of all rows of a table, sorted."""
        return sorted(self.rows(name)[TABLES[name].key[0]].to_pylist())

    def ids_between(self, name: str, begin: datetime, end: datetime) -> list[str]:
        """The keys of a log's rows in [begin, end), in order of time."""
        return self._at(name, begin, end)[TABLES[name].key[0]].to_pylist()

    def with_ids(self, name: str, column: str, ids: Sequence[str]) -> Iterator[pa.Table]:
        """Batches of the rows with one of `ids` in `column`, each ordered by its first two columns."""
        if not ids:
            return
        rows = self.rows(name)
        order = [(declared.name, "ascending") for declared in TABLES[name].columns[:2]]
        for start in range(0, len(ids), IDS_PER_BATCH):
            chosen = pa.array(ids[start : start + IDS_PER_BATCH], rows[column].type)
            yield from self._batches(name, rows.filter(pc.is_in(rows[column], chosen)).sort_by(order))

    def whole(self, name: str) -> Iterator[pa.Table]:
        """Batches of all rows of a table, in the order of its key."""
        yield from self._batches(name, self.rows(name).sort_by(TABLES[name].key[0]))

    def rows(self, name: str, begin: datetime | None = None, end: datetime | None = None) -> pa.Table:
        """The table in the contract's types: declared columns, then open ones; of rows with equal keys the last one."""
        declared, table = TABLES[name], self.read(name, begin, end)
        columns = [column for column in table.column_names if declared.column(column) or declared.is_open(column)]
        rows = conform(table.select(columns), declared, self.place)
        names = [column.name for column in declared.columns]
        rows = rows.select([*names, *(column for column in rows.column_names if column not in names)])
        keys = pd.DataFrame({key: rows[key].to_pandas() for key in declared.key})
        return rows.filter(pa.array(~keys.duplicated(keep="last").to_numpy()))

    def _at(self, name: str, begin: datetime, end: datetime) -> pa.Table:
        rows = self.rows(name, begin, end)
        kind = rows["timestamp"].type
        within = pc.and_(
            pc.greater_equal(rows["timestamp"], pa.scalar(begin, kind)),
            pc.less(rows["timestamp"], pa.scalar(end, kind)),
        )
        return rows.filter(within).sort_by([("timestamp", "ascending"), (TABLES[name].key[0], "ascending")])

    def _batches(self, name: str, rows: pa.Table) -> Iterator[pa.Table]:
        for start in range(0, rows.num_rows, self.config.batch_rows):
            yield rows.slice(start, self.config.batch_rows).combine_chunks()


def earliest(rows: pa.Table) -> datetime | None:
    """The first time of a log's rows; None if no row has a time."""
    return _moment(pc.min(rows["timestamp"]))


def _moment(value: pa.Scalar) -> datetime | None:
    moment = value.as_py()
    return None if moment is None else moment.astimezone(UTC)
