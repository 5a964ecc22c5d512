"""A kill between any two steps of a move: the next change of the registry ends it, and one version is champion."""

from pathlib import Path

import pytest

from components.registry.alias_moves import HISTORY, PENDING, complete_move
from components.registry.decision import Gate
from components.registry.mlflow_store import ModelRecord, open_store, register, version_of
from components.registry.promotion import CHALLENGER, CHAMPION, apply, apply_gate, promote, rollback
from tests.components.registry.test_registry import judged, registered

pytestmark = pytest.mark.slow
WRITES = (
    "set_registered_model_tag",
    "delete_registered_model_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "set_model_version_tag",
    "delete_model_version_tag",
    "update_model_version",
    "log_artifact",
)


class Killed(BaseException):
    """What no code catches, as nothing catches SIGKILL."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recovery")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.setenv("ADLOOM_ARTIFACT_ROOT", str(folder / "artifacts"))
    patch.setenv("ADLOOM_STATE", str(folder))
    yield open_store()
    patch.undo()


def killed_after(store, writes: int, monkeypatch, command) -> bool:
    """Do `command` and die before its write number `writes`; False where it has fewer."""
    done = []

    def counted(write):
        def counting(*words, **named):
            if len(done) == writes:
                raise Killed
            done.append(write)
            return write(*words, **named)

        return counting

    with monkeypatch.context() as patch:
        for name in WRITES:
            patch.setattr(store, name, counted(getattr(store, name)))
        try:
            command()
        except Killed:
            return True
        return False


def model_tags(store, name: str) -> dict:
    return store.search_registered_models(f"name = '{name}'")[0].tags


def check_whole(store, name: str) -> None:
    """One alias to a version, no move under way, and a history that ends in the champion."""
    champion, challenger = version_of(store, name, CHAMPION), version_of(store, name, CHALLENGER)
    tags = model_tags(store, name)
    assert PENDING not in tags
    assert champion is None or challenger is None or champion.number != challenger.number
    if champion is not None and HISTORY in tags:
        assert tags[HISTORY].endswith(f"{champion.number}]")


def test_a_run_that_is_killed_anywhere_promotes_when_it_runs_again(store, tmp_path, monkeypatch):
    step = 0
    while True:
        first, second = (registered(store, f"run{step}", tmp_path / f"{step}-{number}", number) for number in (1, 2))
        apply(store, first.name, first, judged(store, first))
        decision = judged(store, second, first)
        killed = killed_after(store, step, monkeypatch, lambda: apply(store, second.name, second, decision))  # noqa: B023
        assert apply(store, second.name, second, decision).action == ("promote" if killed else "keep")
        check_whole(store, second.name)
        assert version_of(store, second.name, CHAMPION).number == 2
        assert rollback(store, second.name, None, "ann").champion == 1, "nothing of the history is lost"
        if not killed:
            assert step > 10  # decision, signature, tags, page, and the move itself
            return
        step += 1


def test_a_person_who_is_killed_anywhere_finds_the_move_done_or_not_begun(store, tmp_path, monkeypatch):
    step = 0
    while True:
        first, second = (registered(store, f"hand{step}", tmp_path / f"{step}-{number}", number) for number in (1, 2))
        name = first.name
        apply(store, name, first, judged(store, first))
        apply(store, name, second, judged(store, second, first), approval="manual")
        killed = killed_after(store, step, monkeypatch, lambda: promote(store, name, False, "good", "ann"))  # noqa: B023
        begun = PENDING in model_tags(store, name)
        complete_move(store, name)
        check_whole(store, name)
        champion = version_of(store, name, CHAMPION)
        done = begun or not killed
        assert champion.number == (2 if done or not version_of(store, name, CHALLENGER) else 1)
        if champion.number == 2:
            assert (champion.tags["approved"], champion.tags["approved_by"]) == ("good", "ann")
        if not killed:
            assert step >= 5
            return
        step += 1


def test_a_rollback_that_is_killed_anywhere_ends_or_has_not_begun(store, tmp_path, monkeypatch):
    step = 0
    while True:
        first, second = (registered(store, f"back{step}", tmp_path / f"{step}-{number}", number) for number in (1, 2))
        name = first.name
        apply(store, name, first, judged(store, first))
        apply(store, name, second, judged(store, second, first))
        killed = killed_after(store, step, monkeypatch, lambda: rollback(store, name, "bad", "ann"))  # noqa: B023
        complete_move(store, name)
        check_whole(store, name)
        gone = store.get_model_version(name, "2").tags
        assert ("rolled_back" in gone) == (version_of(store, name, CHAMPION).number == 1)
        assert ("rolled_back" in gone) == ("rolled_back_by" in gone)
        if not killed:
            assert step >= 5
            return
        step += 1


def test_a_gate_that_is_killed_anywhere_leaves_no_version_with_both_aliases(store, tmp_path, monkeypatch):
    step = 0
    while True:
        name, folder = f"gate{step}-interest", Path(tmp_path / str(step))
        folder.mkdir()
        (folder / "model").write_text(name)
        made = register(store, ModelRecord(name, folder, lambda: f"file://{folder}", name, "0" * 64))  # noqa: B023
        apply_gate(store, name, made, Gate(False, ("no",)))
        killed = killed_after(store, step, monkeypatch, lambda: apply_gate(store, name, made, Gate(True, ("yes",))))  # noqa: B023
        apply_gate(store, name, made, Gate(True, ("yes",)))
        check_whole(store, name)
        assert version_of(store, name, CHAMPION).number == 1
        if not killed:
            return
        step += 1


def test_both_aliases_on_one_version_are_mended_by_the_next_change(store, tmp_path):
    """What a kill in an earlier release left."""
    first = registered(store, "both", tmp_path / "both", 1)
    apply(store, first.name, first, judged(store, first))
    store.set_registered_model_alias(first.name, CHALLENGER, "1")
    complete_move(store, first.name)
    check_whole(store, first.name)


@pytest.mark.parametrize("command", [promote, rollback])
def test_the_command_that_was_killed_is_typed_again_and_moves_once(store, tmp_path, monkeypatch, command):
    step = 0
    while True:
        shop = f"{command.__name__}{step}"
        first, second, third = (registered(store, shop, tmp_path / f"{shop}-{number}", number) for number in (1, 2, 3))
        name = first.name
        apply(store, name, first, judged(store, first))
        apply(store, name, second, judged(store, second, first))
        by_hand = "manual" if command is promote else "auto"
        apply(store, name, third, judged(store, third, second), approval=by_hand)
        words = (store, name, False, "good", "ann") if command is promote else (store, name, "bad", "ann")
        killed = killed_after(store, step, monkeypatch, lambda: command(*words))  # noqa: B023
        expected = 3 if command is promote else 2
        if killed and PENDING in model_tags(store, name):
            assert command(*words).champion == expected
            assert version_of(store, name, CHAMPION).number == expected
            check_whole(store, name)
        if not killed:
            assert step >= 5
            return
        step += 1
