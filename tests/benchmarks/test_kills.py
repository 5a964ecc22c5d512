"""The kill harness: kills come at the chosen moment, lost things are seen, and some kills of the real commands."""

import os
import time
from pathlib import Path

import pytest

from benchmarks.kills import Lab, Moment, _day_faults, _registry_faults, run_kills


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path)
    made.project.mkdir()
    return made


def three_files() -> None:
    for name in ("a", "b", "c"):
        open(name, "w").close()
        os.rename(name, f"{name}.done")


@pytest.mark.parametrize(
    ("event", "left"), [(1, []), (2, ["a"]), (3, ["a.done"]), (6, ["a.done", "b.done", "c"]), (7, None)]
)
def test_a_kill_comes_before_the_change_with_its_number(lab, event, left):
    status, _ = lab.child(three_files, Moment(event=event))
    if left is None:
        assert status == 0, "there are six changes"
        return
    assert os.WIFSIGNALED(status)
    assert sorted(path.name for path in lab.project.iterdir()) == left


def test_changes_are_counted_and_reading_is_none(lab):
    assert lab.run_to_end(three_files) == 6
    assert lab.run_to_end(lambda: open("a.done").close()) == 0


def test_a_kill_by_time_takes_the_whole_group(lab):
    def waits() -> None:
        if os.fork() == 0:
            Path("child").write_text(str(os.getpid()))
        while True:
            pass

    assert os.WIFSIGNALED(lab.child(waits, Moment(seconds=3.0))[0])
    child = int((lab.project / "child").read_text())
    state = Path(f"/proc/{child}/stat")

    def gone() -> bool:
        try:
            return state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    # a killed process may be seen running until it is scheduled once more
    assert any(gone() or time.sleep(0.1) for _ in range(100))


def test_work_that_fails_tells_its_log(lab):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        lab.run_to_end(lambda: 1 / 0)


def test_days_that_differ_from_an_uninterrupted_pull_are_faults():
    first_day, second_day = "impressions/day=1/part-0.parquet", "impressions/day=2/part-0.parquet"
    expected = {"dataset.yaml": "3 days", first_day: "a", second_day: "b"}
    first = {"dataset.yaml": "1 day", "impressions/day=1/part-0.parquet": "a"}
    assert [_day_faults(files, expected) for files in ({}, first, expected)] == [[], [], []]
    assert _day_faults({**first, "impressions/day=1/part-0.parquet": "half"}, expected)
    assert _day_faults({"impressions/day=1/part-0.parquet": "a"}, expected), "without its card it is no data set"


def registry(champion: str, ledger: tuple[str, ...], export: str) -> dict:
    return {"aliases": {"shop-policy": {"champion": champion}}, "ledger": list(ledger), "export": {"file": export}}


def test_a_lost_champion_entry_or_export_is_seen():
    before, expected = registry("1", ("a",), "old"), registry("2", ("a", "b"), "new")
    for now in (before, expected, registry("2", ("a", "b"), "old"), registry("1", ("a", "b"), "old")):
        assert _registry_faults(now, before, expected) == []
    for now, named in (
        (registry("3", ("a",), "old"), "champion of shop-policy is 3"),
        ({**before, "aliases": {"shop-policy": {}}}, "champion of shop-policy is None"),
        (registry("1", ("b",), "old"), "ledger lost an entry"),
        (registry("1", ("a",), "half"), "export is neither"),
    ):
        (fault,) = _registry_faults(now, before, expected)
        assert named in fault


@pytest.mark.slow
def test_kills_of_a_data_command_and_of_stages_lose_nothing(tmp_path):
    """The benchmark does 200, of every command."""
    rows = run_kills(10, ("data advance", "features"), 3, root=tmp_path, file=tmp_path / "rows.jsonl", processes=1)
    assert [row["number"] for row in rows] == list(range(10))
    assert all(row["killed"] for row in rows)
    assert [row["faults"] for row in rows] == [[]] * 10
