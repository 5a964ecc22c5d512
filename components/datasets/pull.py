"""A shop's source of rows (sources.py) -> data/NAME, day by day: what is new since the last pull, nothing twice.

The card's `ends_at` is the watermark. Each whole day after it is written at once, as immutable partitions, and moves
it; so a pull that is cut leaves whole days, and the next one goes on after them. Ten days pulled together give the
bytes of ten nightly pulls. Beside new days a pull brings

- rows of earlier days that came late (by id, in the last `late_days`), in the files that late_rows.py describes;
- conversions whose window has closed since (settlements.py); before, they are null whatever the source says, and
  what comes after it is none;
- pictures whose id is not there yet; the small tables, which have no time, whole.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from components.datasets.dataset_files import extending
from components.datasets.source_protocol import Snapshot, SourceFailed
from components.datasets.sources import source_of
from components.settings.errors import UserError
from components.settings.sections import SourceConfig

DAY = timedelta(days=1)
SMALL = ("campaigns", "creatives", "products", "shoppers")
KEYS = {"impressions": "impression_id", "events": "event_id"}
CLICKS = ("impression_id", "timestamp", "click", "conversion")
PART = "part-0.parquet"

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: whole days, rows by table, rows that came late, conversions that became final; and by log
    the rows that it left out because they have no time."""

    name: str
    ends_at: datetime
    days: int = 0
    impressions: int = 0
    late: int = 0
    settled: int = 0
    untimed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """What is there already: per log the ids and times of its rows, and clicks whose conversion was not final."""

    rows: Mapping[str, pd.DataFrame]
    open_clicks: pd.DataFrame  # impression_id, timestamp
    images: frozenset[str]


def pull(name: str, config: SourceConfig, data_folder: UPath) -> Pulled:
    """Bring `data_folder/name` up to the last day that is over by the clock and by the newest impression."""
    check_name(name)
    if config.url is None:
        raise UserError(
            f"{name}: no database to pull from, and no folder; set `source` under datasets.{name} in params.yaml"
        )
    folder = UPath(data_folder) / name
    recover_folder(folder)
    card = read_card(folder) if (folder / CARD_FILE).exists() else None
    if card is None and folder.exists():
        raise UserError(f"{name}: {folder} is there but was not pulled: it has no {CARD_FILE}")
    place = source_of(config).place(config)
    source = f"pulled from {place}"
    if card is not None and card.source != source:
        raise UserError(f"{name}: {folder} is not from {place}, but `{card.source}`; choose another name")
    with _alone(name):
        return _pull(name, config, folder, card, source)


def _pull(name: str, config: SourceConfig, folder: UPath, card: DatasetCard | None, source: str) -> Pulled:
    done, at = None if card is None else Pulled(name, card.ends_at), "the first of it"
    try:
        with source_of(config).snapshot(config) as rows:
            card = card or _first_card(name, config, rows, source)
            done = replace(done or Pulled(name, card.ends_at), untimed=_untimed(rows))
            held = _held(folder) if folder.exists() else None
            until = _whole_days(rows)
            while card.ends_at < until:
                at = f"{card.ends_at:%Y-%m-%d}"
                late = _late_days(config, card.ends_at + DAY) if done.days == 0 and held else ()
                card, held, done = _one_day(rows, folder, card, held, done, late)
                log.info("%s: %s is there, %s impressions in all", name, at, f"{done.impressions:,}")
    except SourceFailed as failed:
        kept = "nothing has changed" if not done or not done.days else f"the days before {at} are in place"
        advice = "Pull again to go on" if failed.passing else "Put that right, then pull again"
        raise UserError(f"{name}: the source failed while {at} was read ({failed}); {kept}. {advice}") from None
    return done


def _one_day(
    source: Snapshot, folder: UPath, card: DatasetCard, held: Held | None, done: Pulled, late_days: Sequence[datetime]
) -> tuple[DatasetCard, Held, Pulled]:
    """The data set with one more day; on a pull's first one also with what came late and the small tables."""
    first = done.days == 0
    begin, end = card.ends_at, card.ends_at + DAY
    moved = card.model_copy(update={"ends_at": end})
    rows = {name: 0 for name in KEYS}
    with extending(folder) as fresh:
        late = _write_late(source, fresh, moved, held, late_days) if held else 0
        settled = _write_settled(source, fresh, moved, held) if held else 0
        for name in KEYS:
            if name in source.tables:
                batches = settled_only(source.between(name, begin, end), moved)
                rows[name] = write_batches(batches, fresh / name / f"day={begin:%Y-%m-%d}" / PART)
        if "candidates" in source.tables:
            offered = source.between("candidates", begin, end)
            write_batches(offered, fresh / "candidates" / f"day={begin:%Y-%m-%d}" / PART)
        if first:
            for name in (name for name in SMALL if name in source.tables):
                write_batches(source.whole(name), fresh / f"{name}.parquet")
            _write_images(source, fresh, end, held)
        moved = moved.model_copy(update={"real": tuple(name for name in source.tables if has_table(fresh, name))})
        write_card(moved, fresh)
    done = replace(
        done,
        ends_at=end,
        days=done.days + 1,
        impressions=done.impressions + rows["impressions"],
        late=done.late + late,
        settled=done.settled + settled,
    )
    return moved, _held(folder) if first or held is None else _with_day(held, folder, begin), done


def _first_card(name: str, config: SourceConfig, rows: Snapshot, source: str) -> DatasetCard:
    earliest = rows.begins()
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


def _whole_days(source: Snapshot) -> datetime:
    """The end of the last day that is over: by the source, and the clock agrees."""
    return _day_of(min(source.known_until() or datetime.min.replace(tzinfo=UTC), datetime.now(UTC)))


def _untimed(source: Snapshot) -> dict[str, int]:
    """Of each log that has some: how many rows have no time, or an infinite one, and so belong to no day."""
    counts = {name: source.untimed(name) for name in KEYS if name in source.tables}
    return {name: count for name, count in counts.items() if count}


def _late_days(config: SourceConfig, ends_at: datetime) -> tuple[datetime, ...]:
    """The days before the one that ends, oldest first, that are looked through for rows that came late."""
    back = (ends_at - DAY - number * DAY for number in range(config.late_days, 0, -1))
    since = config.since
    return tuple(day for day in back if since is None or day >= _day_of(since))  # earlier ones are not wanted


def _day_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _held(folder: UPath) -> Held:
    rows = {name: _log(folder, name, (key, "timestamp")) for name, key in KEYS.items()}
    pictures = read_table(folder, "images", ["image_id"])["image_id"] if (folder / "images").exists() else ()
    return Held(rows, _open(_log(folder, "impressions", CLICKS)), frozenset(pictures))


def _log(folder: UPath, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """These columns of the log `name`; no rows where no day has brought any yet."""
    if (folder / name).exists():
        return read_table(folder, name, columns)
    declared = TABLES[name]
    nothing = pa.schema([(each, ARROW[declared.column(each).kind]) for each in columns]).empty_table()
    return to_pandas(nothing, declared)


def _open(clicks: pd.DataFrame) -> pd.DataFrame:
    is_open = (clicks["click"] == 1) & clicks["conversion"].isna()
    return clicks.loc[is_open, ["impression_id", "timestamp"]]


def _with_day(held: Held, folder: UPath, day: datetime) -> Held:
    """`held` with the open clicks of the day that was just written; its other parts serve a pull's first day alone."""
    part = folder / "impressions" / f"day={day:%Y-%m-%d}" / PART
    if not part.exists():
        return held
    return replace(held, open_clicks=pd.concat([held.open_clicks, _open(read_frame(part, CLICKS))]))


def settled_only(batches: Iterator[pa.Table], card: DatasetCard) -> Iterator[pa.Table]:
    """Impressions as the contract has them when the log ends: a conversion after its window is none, and one whose
    window is open is not known. Other tables as they are.

    Whoever pulls a day later than its own night would else find what that night did not know.
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


def _write_late(source: Snapshot, fresh: UPath, card: DatasetCard, held: Held, days: Sequence[datetime]) -> int:
    """Impressions and events of these days whose ids are not there yet, and their candidates; how many."""
    count = 0
    for name, rows in held.rows.items():
        if name not in source.tables:
            continue
        for day in days:
            there = set(rows.loc[(rows["timestamp"] >= day) & (rows["timestamp"] < day + DAY), KEYS[name]])
            new = [key for key in source.ids_between(name, day, day + DAY) if key not in there]
            at = f"day={day:%Y-%m-%d}/{late_name(card.ends_at)}"
            found = settled_only(source.with_ids(name, KEYS[name], new), card)
            count += write_batches(found, fresh / name / at)
            if name == "impressions" and "candidates" in source.tables:
                write_batches(source.with_ids("candidates", "impression_id", new), fresh / "candidates" / at)
    return count


def _write_settled(source: Snapshot, fresh: UPath, card: DatasetCard, held: Held) -> int:
    """Conversions of clicks whose window has closed on the day that `card` now ends with, beside their day."""
    window = pd.Timedelta(days=card.conversion_window_days)
    closes = held.open_clicks["timestamp"] + window
    due = held.open_clicks[(closes > card.ends_at - DAY) & (closes <= card.ends_at)]
    settled = 0
    for day, rows in due.groupby(due["timestamp"].dt.floor("D")):
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


def _write_images(source: Snapshot, fresh: UPath, end: datetime, held: Held | None) -> None:
    """Pictures that are not there yet, a batch at a time."""
    if "images" not in source.tables:
        return
    known = held.images if held else frozenset()
    new = [key for key in source.ids("images") if key not in known]
    at = f"images/day={end:%Y-%m-%d}/{late_name(end) if known else PART}"
    write_batches(source.with_ids("images", "image_id", new), fresh / at)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the lock of this data set's pulls; UserError where another one is at work."""
    state = Path(os.environ.get("ADLOOM_STATE", ".adloom"))
    state.mkdir(parents=True, exist_ok=True)
    with (state / f"pull-{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{name}: another pull of it is at work") from None
        yield
