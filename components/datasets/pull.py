"""Pull the rows that are new since the last pull from a shop's source (sources.py) into data/NAME, day by day.

The card's `ends_at` is the watermark. Each complete day after it is written at once, as immutable partitions, and then
`ends_at` moves to its end. So an interrupted pull leaves complete days, and the next one continues after them. One pull
of ten days writes the same bytes as ten nightly pulls. A pull also writes

- late rows of earlier days (new ids in the last `late_days`), in the files that late_rows.py describes;
- conversions whose window has closed since (settlements.py); before, they are null even if the source has them, and
  later conversions do not count;
- images with new ids, and all rows of the tables without times.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
from upath import UPath

from components.contract.card import CARD_FILE, DatasetCard, read_card, write_card
from components.contract.conform import to_pandas
from components.contract.files.atomic_files import recover_folder
from components.contract.files.late_rows import late_name
from components.contract.files.settlements import CONVERSION_COLUMNS, SETTLED_PREFIX, SETTLEMENT_COLUMNS
from components.contract.files.tables import has_table, read_frame, read_table, write_batches, write_table
from components.contract.schema import ARROW, TABLES
from components.contract.time_window import attribute_conversions, mask_open_conversions
from components.datasets.add import check_name
from components.datasets.dataset_files import extended_copy
from components.datasets.dataset_lock import dataset_lock
from components.datasets.source_protocol import Snapshot, SourceFailed
from components.datasets.sources import source_of
from components.settings.errors import UserError
from components.settings.sections import SourceConfig

DAY = timedelta(days=1)
UNTIMED_TABLES = ("campaigns", "creatives", "products", "shoppers")
LOG_KEYS = {"impressions": "impression_id", "events": "event_id"}
CLICK_COLUMNS = ("impression_id", "timestamp", "click", "conversion")
PARTITION_FILE = "part-0.parquet"

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class Pulled:
    """The result of a pull: numbers of complete days, impressions, late rows and conversions that became final, and by
    log the number of rows left out because they have no time."""

    name: str
    ends_at: datetime
    days: int = 0
    impressions: int = 0
    late: int = 0
    settled: int = 0
    untimed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredState:
    """The data set before the pull: ids and times of its rows by log, clicks without a final conversion, image ids."""

    rows: Mapping[str, pd.DataFrame]
    open_clicks: pd.DataFrame  # impression_id, timestamp
    images: frozenset[str]


def pull(name: str, config: SourceConfig, data_folder: UPath) -> Pulled:
    """The result of pulling all days that are over, by the clock and by the source, into `data_folder/name`."""
    check_name(name)
    if config.url is None:
        raise UserError(
            f"{name}: no source to pull from; set `source` under datasets.{name} in params.yaml to a database, folder "
            "or Kafka topics"
        )
    folder = UPath(data_folder) / name
    recover_folder(folder)
    card = read_card(folder) if (folder / CARD_FILE).exists() else None
    if card is None and folder.exists():
        raise UserError(f"{name}: {folder} exists but was not pulled: it has no {CARD_FILE}")
    place = source_of(config).place(config)
    source = f"pulled from {place}"
    if card is not None and card.source != source:
        raise UserError(f"{name}: {folder} is not from {place}, but `{card.source}`; choose another name")
    with dataset_lock(name):
        return _pull(name, config, folder, card, source)


def _pull(name: str, config: SourceConfig, folder: UPath, card: DatasetCard | None, source: str) -> Pulled:
    done, at = None if card is None else Pulled(name, card.ends_at), "the first day"
    try:
        with source_of(config).snapshot(config) as rows:
            card = card or _first_card(name, config, rows, source)
            done = replace(done or Pulled(name, card.ends_at), untimed=_untimed(rows))
            for day, result in _appended_days(rows, folder, card, config, done):
                at, done = day, result
    except SourceFailed as failed:
        written = "nothing has changed" if not done or not done.days else f"the days before {at} are stored"
        advice = "Pull again to continue" if failed.transient else "Correct this, then pull again"
        raise UserError(f"{name}: the source failed while {at} was read ({failed}); {written}. {advice}") from None
    return done


def append_days(rows: Snapshot, folder: UPath, card: DatasetCard, config: SourceConfig) -> Pulled:
    """Add the days of `rows` that are over, by the clock and by the source, to the data set in `folder`.

    card: its card, with the begin of the first day to add as `ends_at`. The caller holds the data set's lock.
    """
    start = Pulled(card.name, card.ends_at)
    results = [result for _, result in _appended_days(rows, folder, card, config, start)]
    return results[-1] if results else start


def _appended_days(
    rows: Snapshot, folder: UPath, card: DatasetCard, config: SourceConfig, done: Pulled
) -> Iterator[tuple[str, Pulled]]:
    """Add day after day; yields each day's name and the result so far, before it is read and after it is stored."""
    stored = _stored_state(folder) if folder.exists() else None
    until = _end_of_whole_days(rows)
    while card.ends_at < until:
        at = f"{card.ends_at:%Y-%m-%d}"
        yield at, done
        late = _late_days(config, card.ends_at + DAY) if done.days == 0 and stored else ()
        card, stored, done = _one_day(rows, folder, card, stored, done, late_days=late)
        log.info("%s: %s is stored, %s impressions in all", card.name, at, f"{done.impressions:,}")
        yield at, done


def _one_day(
    source: Snapshot,
    folder: UPath,
    card: DatasetCard,
    stored: StoredState | None,
    done: Pulled,
    *,
    late_days: Sequence[datetime],
) -> tuple[DatasetCard, StoredState, Pulled]:
    """Add one day to the data set; on a pull's first day also late rows, the tables without times and new images."""
    first = done.days == 0
    begin, end = card.ends_at, card.ends_at + DAY
    moved = card.model_copy(update={"ends_at": end})
    rows = {name: 0 for name in LOG_KEYS}
    with extended_copy(folder) as fresh:
        late = _write_late(source, fresh, moved, stored, late_days) if stored else 0
        settled = _write_settled(source, fresh, moved, stored) if stored else 0
        for name in LOG_KEYS:
            if name in source.tables:
                batches = settled_only(source.between(name, begin, end), moved)
                rows[name] = write_batches(batches, fresh / name / f"day={begin:%Y-%m-%d}" / PARTITION_FILE)
        if "candidates" in source.tables:
            offered = source.between("candidates", begin, end)
            write_batches(offered, fresh / "candidates" / f"day={begin:%Y-%m-%d}" / PARTITION_FILE)
        if first:
            for name in (name for name in UNTIMED_TABLES if name in source.tables):
                write_batches(source.whole(name), fresh / f"{name}.parquet")
            _write_images(source, fresh, end, stored)
        held = [name for name in source.tables if has_table(fresh, name) and name not in moved.simulated]
        others = [name for name in moved.real if name not in held]  # that are not the source's
        moved = moved.model_copy(update={"real": (*held, *others)})
        write_card(moved, fresh)
    done = replace(
        done,
        ends_at=end,
        days=done.days + 1,
        impressions=done.impressions + rows["impressions"],
        late=done.late + late,
        settled=done.settled + settled,
    )
    return moved, _stored_state(folder) if first or stored is None else _with_day(stored, folder, begin), done


def _first_card(name: str, config: SourceConfig, rows: Snapshot, source: str) -> DatasetCard:
    earliest = rows.first_time()
    if earliest is None:
        raise UserError(f"{name}: the source's table impressions has no rows with a time")
    begins = _day_of(max(config.since or earliest, earliest))
    return DatasetCard(
        name=name,
        source=source,
        licence=config.licence,
        real=rows.tables,
        simulated=(),
        currency=config.currency,
        conversion_window_days=config.conversion_window_days,
        ends_at=begins,
    )


def _end_of_whole_days(source: Snapshot) -> datetime:
    """The end of the last day that is over, by both the source and the clock."""
    return _day_of(min(source.complete_until() or datetime.min.replace(tzinfo=UTC), datetime.now(UTC)))


def _untimed(source: Snapshot) -> dict[str, int]:
    """Log -> number of its rows without a finite time, which belong to no day; logs without such rows are left out."""
    counts = {name: source.untimed(name) for name in LOG_KEYS if name in source.tables}
    return {name: count for name, count in counts.items() if count}


def _late_days(config: SourceConfig, ends_at: datetime) -> tuple[datetime, ...]:
    """The begins of the `late_days` days before the one that ends at `ends_at`, oldest first."""
    back = (ends_at - DAY - number * DAY for number in range(config.late_days, 0, -1))
    since = config.since
    return tuple(day for day in back if since is None or day >= _day_of(since))  # rows before `since` are not pulled


def _day_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _stored_state(folder: UPath) -> StoredState:
    rows = {name: _log(folder, name, (key, "timestamp")) for name, key in LOG_KEYS.items()}
    pictures = read_table(folder, "images", ["image_id"])["image_id"] if (folder / "images").exists() else ()
    return StoredState(rows, _open(_log(folder, "impressions", CLICK_COLUMNS)), frozenset(pictures))


def _log(folder: UPath, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """`columns` of the log `name`; no rows if no day of it has been written."""
    if (folder / name).exists():
        return read_table(folder, name, columns)
    declared = TABLES[name]
    empty = pa.schema([(column, ARROW[declared.column(column).kind]) for column in columns]).empty_table()
    return to_pandas(empty, declared)


def _open(clicks: pd.DataFrame) -> pd.DataFrame:
    is_open = (clicks["click"] == 1) & clicks["conversion"].isna()
    return clicks.loc[is_open, ["impression_id", "timestamp"]]


def _with_day(stored: StoredState, folder: UPath, day: datetime) -> StoredState:
    """`stored` with the open clicks of the day that was just written; only a pull's first day uses the other fields."""
    part = folder / "impressions" / f"day={day:%Y-%m-%d}" / PARTITION_FILE
    if not part.exists():
        return stored
    return replace(stored, open_clicks=pd.concat([stored.open_clicks, _open(read_frame(part, CLICK_COLUMNS))]))


def settled_only(batches: Iterator[pa.Table], card: DatasetCard) -> Iterator[pa.Table]:
    """Batches of impressions as known at the log's end: no conversion after its window, null while the window is open.

    So a day that is pulled later gets the same rows as in its own night. Batches of other tables are not changed.
    """
    window = card.conversion_window_days
    for batch in batches:
        if "conversion" in batch.column_names:
            clicks = to_pandas(batch.select(["timestamp", "click", *CONVERSION_COLUMNS]), TABLES["impressions"])
            known = mask_open_conversions(
                attribute_conversions(clicks, card, window), pd.Timestamp(card.ends_at), window
            )
            for name in CONVERSION_COLUMNS:
                field = batch.schema.field(name)
                values = pa.array(known[name], field.type, from_pandas=True)
                batch = batch.set_column(batch.column_names.index(name), field, values)
        yield batch


def _write_late(
    source: Snapshot, fresh: UPath, card: DatasetCard, stored: StoredState, days: Sequence[datetime]
) -> int:
    """Number of impressions and events of `days` with new ids, written as late rows together with their candidates."""
    count = 0
    for name, rows in stored.rows.items():
        if name not in source.tables:
            continue
        for day in days:
            known = set(rows.loc[(rows["timestamp"] >= day) & (rows["timestamp"] < day + DAY), LOG_KEYS[name]])
            new = [key for key in source.ids_between(name, day, day + DAY) if key not in known]
            at = f"day={day:%Y-%m-%d}/{late_name(card.ends_at)}"
            late = settled_only(source.with_ids(name, LOG_KEYS[name], new), card)
            count += write_batches(late, fresh / name / at)
            if name == "impressions" and "candidates" in source.tables:
                write_batches(source.with_ids("candidates", "impression_id", new), fresh / "candidates" / at)
    return count


def _write_settled(source: Snapshot, fresh: UPath, card: DatasetCard, stored: StoredState) -> int:
    """Number of conversions whose window closed on the last day of `card`, written beside their day's partition."""
    window = pd.Timedelta(days=card.conversion_window_days)
    closes = stored.open_clicks["timestamp"] + window
    closed = stored.open_clicks[(closes > card.ends_at - DAY) & (closes <= card.ends_at)]
    settled = 0
    for day, rows in closed.groupby(closed["timestamp"].dt.floor("D")):
        found = list(settled_only(source.with_ids("impressions", "impression_id", list(rows["impression_id"])), card))
        if not found:
            continue
        known = (
            pa.concat_tables(found).select(SETTLEMENT_COLUMNS).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        )
        known = known[known["conversion"].notna()]
        if len(known):
            write_table(
                known,
                fresh / "impressions" / f"day={day:%Y-%m-%d}" / f"{SETTLED_PREFIX}{card.ends_at:%Y-%m-%d}.parquet",
            )
        settled += len(known)
    return settled


def _write_images(source: Snapshot, fresh: UPath, end: datetime, stored: StoredState | None) -> None:
    """Write the images with new ids, a batch at a time."""
    if "images" not in source.tables:
        return
    known = stored.images if stored else frozenset()
    new = [key for key in source.ids("images") if key not in known]
    at = f"images/day={end:%Y-%m-%d}/{late_name(end) if known else PARTITION_FILE}"
    write_batches(source.with_ids("images", "image_id", new), fresh / at)
