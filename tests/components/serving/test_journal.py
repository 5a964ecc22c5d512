"""The journal: what was acknowledged is stored once, whatever happens to the process or the disk."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest

from components.serving.journal import FILE, DecisionRow, FaultRow, Journal, JournalFailed, TrackedRow, connect
from components.settings.paths import ROOT


def decision(name: str, moment: int = 1_780_000_000_000_000) -> DecisionRow:
    return DecisionRow(
        decision_id=name, moment=moment, shopper_id="s1", campaign="c", position=1, creative_id="a",
        propensity=0.1 + 0.2, logging_policy="uniform", request_id=None, placement="top",
        context={"context_device": "电话"}, candidates={"a": 0.1 + 0.2, "b": 1 - (0.1 + 0.2)},
    )  # fmt: skip


def event(name: str, body: dict, moment: int = 5) -> TrackedRow:
    return TrackedRow("event", name, moment, moment, body)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "serving")
    yield journal
    journal.close()


def test_a_decision_comes_back_exactly(journal):
    assert journal.submit([decision("i1")]).result(10) == ["stored"]
    assert journal.decision("i1") == decision("i1") and journal.decision("i2") is None


def test_a_journal_of_an_earlier_release_is_continued(tmp_path):
    with closing(connect(tmp_path / FILE)) as connection:
        connection.execute("ALTER TABLE decisions DROP COLUMN campaign_propensity")
        row = ("i0", 5, "s1", "c", 1, "a", 0.5, "uniform", None, None, "{}", '{"a":1.0}')
        connection.execute(f"INSERT INTO decisions VALUES ({', '.join('?' * 12)})", row)
    journal = Journal(tmp_path)
    assert journal.decision("i0").campaign_propensity is None and journal.decision("i0").candidates == {"a": 1.0}
    journal.submit([replace(decision("i1"), campaign_propensity=0.25)]).result(10)
    assert journal.decision("i1").campaign_propensity == 0.25
    journal.close()


def test_an_event_sent_again_counts_once_and_its_first_content_stays(journal):
    first = journal.submit([event("e1", {"kind": "view"}), event("e1", {"kind": "view"}, moment=9)])
    assert first.result(10) == ["stored", "duplicate"]
    assert journal.submit([event("e1", {"kind": "cart"}), event("e2", {})]).result(10) == ["conflict", "stored"]
    with closing(connect(journal.path)) as connection:
        rows = connection.execute("SELECT id, moment, body FROM tracked ORDER BY id").fetchall()
    assert rows == [("e1", 5, '{"kind":"view"}'), ("e2", 5, "{}")]


def test_rows_of_one_kind_do_not_hide_those_of_another(journal):
    rows = [TrackedRow(kind, "i1", 1, 1, {}) for kind in ("impression", "click", "event")]
    assert journal.submit(rows).result(10) == ["stored"] * 3
    assert journal.submit([FaultRow(1, "why", {})] * 2).result(10) == ["stored"] * 2


def test_a_full_disk_is_told_nothing_of_the_group_is_stored_and_it_goes_on_afterwards(journal, monkeypatch):
    stored = Journal._store

    def full(self, connection, row):
        if getattr(row, "id", "") == "e2":
            raise sqlite3.OperationalError("database or disk is full")
        return stored(self, connection, row)

    monkeypatch.setattr(Journal, "_store", full)
    with pytest.raises(JournalFailed, match=r"cannot be written \(database or disk is full\); send it again"):
        journal.submit([event("e1", {}), event("e2", {})]).result(10)
    monkeypatch.undo()
    assert journal.submit([event("e1", {}), event("e2", {})]).result(10) == ["stored"] * 2


def test_a_disk_that_sqlite_finds_full_loses_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.submit([event("e0", {})]).result(10)
    journal.close()
    with closing(connect(tmp_path / FILE)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]

    def small(path):
        connection = connect(path)
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        return connection

    patch = pytest.MonkeyPatch()
    patch.setattr("components.serving.journal.connect", small)
    journal = Journal(tmp_path)
    with pytest.raises(JournalFailed, match="database or disk is full"):
        journal.submit([event(f"e{number}", {"text": "x" * 1000}) for number in range(1, 100)]).result(10)
    assert journal.submit([event("e0", {})]).result(10) == ["duplicate"]
    journal.close()
    patch.undo()


def test_more_waiting_rows_than_allowed_are_refused(journal, monkeypatch):
    monkeypatch.setattr("components.serving.journal.Journal._commit", lambda *_: time.sleep(0.2))
    monkeypatch.setattr(journal._waiting, "maxsize", 3)
    futures = [journal.submit([event("e", {})]) for _ in range(50)]
    refused = [future for future in futures if future.done()]
    assert refused and all("too many rows wait" in str(future.exception()) for future in refused)


WRITER = """
import sys
from pathlib import Path
from components.serving.journal import Journal, TrackedRow
journal, start = Journal(Path(sys.argv[1])), int(sys.argv[2])
waiting = []
for number in range(start, start + 1_000_000):
    waiting.append((number, journal.submit([TrackedRow("event", f"e{number}", number, number, {"n": number})])))
    if len(waiting) >= 50:
        for done, future in waiting:
            assert future.result() in (["stored"], ["duplicate"])
            print(done, flush=True)
        waiting = []
"""


def test_kills_lose_nothing_that_was_acknowledged_and_double_nothing(tmp_path):
    """Each writer begins again with the last acknowledged ids, as a client that got no answer does."""
    acknowledged: list[int] = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(4):
        start = max(acknowledged[-1] - 20, 0) if acknowledged else 0
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(start)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        before = len(acknowledged)
        while len(acknowledged) < before + 200:
            acknowledged.append(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1] if line.isdigit()]
        writer.wait()
    with closing(connect(tmp_path / FILE)) as connection:
        rows = connection.execute("SELECT moment, body FROM tracked").fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = [moment for moment, _ in rows]
    assert set(acknowledged) <= set(stored) and len(stored) == len(set(stored)) >= 700
    assert all(json.loads(body) == {"n": moment} for moment, body in rows)
