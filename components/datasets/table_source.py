"""A source that can hand over tables -> all that a pull asks of a source."""

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
AT_ONCE = 100_000  # ids in one look


class TableSnapshot:
    """A snapshot whose tables come whole, or as what may lie within a span of time: a subclass says how they are read.

    names: the contract's tables that there are; place: what messages call the source.
    """

    def __init__(self, names: Sequence[str], config: SourceConfig, place: str) -> None:
        self.tables = tuple(name for name in TABLES if name in names)
        self.config, self.place = config, place
        for name, declared in TABLES.items():
            if declared.needed and name not in self.tables:
                raise UserError(f"{name}: {place} has no such table, and every data set needs it")

    def read(self, name: str, begin: datetime | None, end: datetime | None) -> pa.Table:
        """Table `name` as it is there. With a span of time, rows that certainly lie outside it may be left out."""
        raise NotImplementedError

    def begins(self) -> datetime | None:
        """The time of the first impression."""
        return earliest(self.rows("impressions"))

    def known_until(self) -> datetime | None:
        """The day of the newest impression: while it lasts, more may come."""
        newest = _moment(pc.max(self.rows("impressions")["timestamp"]))
        return newest and newest.replace(hour=0, minute=0, second=0, microsecond=0)

    def untimed(self, name: str) -> int:
        """Rows of a log without a time."""
        return self.rows(name)["timestamp"].null_count

    def between(self, name: str, begin: datetime, end: datetime) -> Iterator[pa.Table]:
        """Rows of a log, or candidates of the impressions, of a time."""
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
        """The keys of all rows of a table."""
        return sorted(self.rows(name)[TABLES[name].key[0]].to_pylist())

    def ids_between(self, name: str, begin: datetime, end: datetime) -> list[str]:
        """The keys of a log's rows of a time."""
        return self._at(name, begin, end)[TABLES[name].key[0]].to_pylist()

    def with_ids(self, name: str, column: str, ids: Sequence[str]) -> Iterator[pa.Table]:
        """The rows with one of the ids in `column`, ordered by their first two columns."""
        if not ids:
            return
        rows = self.rows(name)
        order = [(each.name, "ascending") for each in TABLES[name].columns[:2]]
        for start in range(0, len(ids), AT_ONCE):
            wanted = pa.array(ids[start : start + AT_ONCE], rows[column].type)
            yield from self._batches(name, rows.filter(pc.is_in(rows[column], wanted)).sort_by(order))

    def whole(self, name: str) -> Iterator[pa.Table]:
        """All rows of a table in the order of its key."""
        yield from self._batches(name, self.rows(name).sort_by(TABLES[name].key[0]))

    def rows(self, name: str, begin: datetime | None = None, end: datetime | None = None) -> pa.Table:
        """The table in the contract's types: declared columns, then open ones; the last one of rows with one key."""
        declared, table = TABLES[name], self.read(name, begin, end)
        columns = [column for column in table.column_names if declared.column(column) or declared.is_open(column)]
        rows = conform(table.select(columns), declared, self.place)
        due = [column.name for column in declared.columns]
        rows = rows.select([*due, *(column for column in rows.column_names if column not in due)])
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
    """The first time of a log's rows; None where none has any."""
    return _moment(pc.min(rows["timestamp"]))


def _moment(value: pa.Scalar) -> datetime | None:
    found = value.as_py()
    return None if found is None else found.astimezone(UTC)
