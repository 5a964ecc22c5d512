"""Shoppers' histories: updated by what is reported, for those who consented, for as long as they are kept."""

import pandas as pd
import pytest
from upath import UPath

from components.contract.files.tables import write_table
from components.features.shoppers.one_shopper import ShopperRows
from components.serving.history_store import DAY, HistoryStore
from components.serving.journal import DecisionRow, Journal, TrackedRow
from tests.components.serving.test_journal import decision

NOW = 1_780_000_000_000_000
CONSENTING = {"s1", "s2"}


@pytest.fixture
def store(tmp_path):
    """A store, and a function that writes rows to its journal."""
    holder = {}
    journal = Journal(tmp_path, lambda connection, row: holder["store"].applied(connection, row))
    holder["store"] = HistoryStore(journal.path, 30, CONSENTING.__contains__)
    holder["write"] = lambda *rows: journal.submit(rows).result(10)
    yield holder["store"], holder["write"]
    journal.close()
    holder["store"].close()


def event(name: str, shopper: str = "s1", moment: int = NOW, ingested: int = NOW, **body) -> TrackedRow:
    return TrackedRow("event", name, moment, ingested, {"shopper_id": shopper, "kind": "view", **body})


def shown(kind: str, name: str = "i1") -> TrackedRow:
    return TrackedRow(kind, name, NOW + 5, NOW + 5, {})


def test_an_event_is_known_to_the_next_decision_and_not_to_one_at_its_moment(store):
    histories, write = store
    write(event("e1", product_id="p1"), event("e2", kind="search", text="红色"), event("e1", product_id="p1"))
    assert histories.rows("s1", NOW) == ShopperRows()
    assert histories.rows("s1", NOW + 1).events == (
        (NOW, "view", "p1", None, None),
        (NOW, "search", None, "红色", None),
    )
    assert histories.rows("s2", NOW + 1) == ShopperRows()


def test_an_event_counts_from_when_it_came(store):
    histories, write = store
    write(event("late", moment=NOW - DAY, ingested=NOW + 7))
    assert histories.rows("s1", NOW + 7).events == () and len(histories.rows("s1", NOW + 8).events) == 1


def test_an_ad_counts_at_its_decision_once_and_clicked_if_it_was(store):
    histories, write = store
    write(decision("i1", NOW), decision("i2", NOW + 1))
    assert histories.rows("s1", NOW + 10).shown == (), "decided and not shown"
    write(shown("impression"))
    assert histories.rows("s1", NOW + 10).shown == ((NOW, "c", "a", 0),)
    write(shown("click"), shown("impression"), shown("click", "i2"), TrackedRow("conversion", "i1", NOW, NOW, {}))
    assert histories.rows("s1", NOW + 10).shown == ((NOW, "c", "a", 1), (NOW + 1, "c", "a", 1))


def test_without_consent_nothing_is_kept(store):
    histories, write = store
    row = decision("i1", NOW)
    write(DecisionRow(**{**row.__dict__, "shopper_id": "s3"}), shown("click"), event("e1", shopper="s3"))
    assert histories.rows("s3", NOW + 10) == ShopperRows()


def test_what_is_older_than_the_time_to_live_is_neither_read_nor_kept(store):
    histories, write = store
    write(*(event(f"e{days}", moment=0, ingested=NOW - days * DAY) for days in (1, 29, 31)))
    assert len(histories.rows("s1", NOW).events) == 2
    assert len(histories.rows("s1", NOW - 20 * DAY).events) == 2
    histories.prune(NOW)
    assert len(histories.rows("s1", NOW - 20 * DAY).events) == 1


def test_a_row_that_is_not_stored_changes_no_history(store, monkeypatch):
    histories, write = store

    def full(self, connection, row):
        raise OSError("No space left on device")

    monkeypatch.setattr(HistoryStore, "applied", full)
    with pytest.raises(Exception, match="No space left"):
        write(event("e1"))
    monkeypatch.undo()
    assert histories.rows("s1", NOW + 1) == ShopperRows() and write(event("e1")) == ["stored"]
    assert len(histories.rows("s1", NOW + 1).events) == 1


def test_the_data_sets_log_is_loaded_once_and_joins_what_was_reported(store, tmp_path):
    histories, write = store
    write(decision("i1", NOW), shown("click"), event("e1"))
    times = pd.to_datetime([NOW, NOW - DAY, NOW - 40 * DAY, NOW], unit="us", utc=True).as_unit("us")
    shoppers = ["s1", "s1", "s1", "s3"]
    events = {"event_id": ["e1", "e0", "old", "x"], "timestamp": times, "shopper_id": shoppers, "kind": "view"}
    log = {
        "impression_id": ["i1", "i0", "old", "x"], "timestamp": times, "shopper_id": shoppers, "campaign": "c",
        "position": 1, "creative_id": "a", "propensity": 0.5, "logging_policy": "p", "click": 0,
    }  # fmt: skip
    data = UPath(tmp_path / "data")
    write_table(pd.DataFrame(events), data / "events.parquet")
    write_table(pd.DataFrame(log), data / "impressions.parquet")
    assert histories.load(data, "shop until May", NOW) == 4 and histories.load(data, "shop until May", NOW) == 0
    rows = histories.rows("s1", NOW + 1)
    assert [row[0] for row in rows.events] == [NOW - DAY, NOW]
    assert rows.shown == ((NOW - DAY, "c", "a", 0), (NOW, "c", "a", 1)), "what is known of a click stays"
    assert histories.rows("s3", NOW + 1) == ShopperRows()
