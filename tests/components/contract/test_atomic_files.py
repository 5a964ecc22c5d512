"""What is written aside takes its place in one step; leftovers of killed processes are told from living writes."""

import signal
import subprocess
import sys

import pytest
from upath import UPath

from components.cli.run import _settings
from components.contract.files import atomic_files
from components.contract.files.atomic_files import (
    clear_leftovers,
    hidden_name,
    recover_folder,
    replace_folder,
    scratch_folder,
)
from components.settings.paths import ROOT

KILLED = -signal.SIGKILL
DIES = "import os, pathlib, shutil, signal, sys; from components.contract.files import atomic_files as scratch\n"
DIES += "def die(*arguments, **options): os.kill(os.getpid(), signal.SIGKILL)\n"
REPLACE = """
with scratch.scratch_folder(pathlib.Path(sys.argv[1])) as fresh:
    (fresh / "new").touch()
    scratch.replace_folder(fresh, sys.argv[1])
"""


def killed(code: str, folder) -> None:
    """Run `code` in a process that kills itself on the way."""
    command = [sys.executable, "-c", DIES + code, str(folder)]
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == KILLED


@pytest.fixture
def old(tmp_path):
    """A folder that stands, with one file."""
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)
    (folder / "old").touch()
    return folder


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("scratch.replace_folder = die", ["old"]),
        ("scratch._exchange = die", ["old"]),
        ("scratch.shutil.rmtree = die", ["new"]),
        ("scratch.sync_folder = die", ["new"]),
    ],
)
def test_a_folder_is_old_or_new_wherever_its_replacement_is_killed(old, where, left):
    killed(where + REPLACE, old)
    assert names(old) == left
    recover_folder(old)
    assert names(old) == left
    assert names(old.parent) == ["shop"]


@pytest.mark.parametrize(
    ("rename", "during", "after"), [(1, ["old"], ["old"]), (2, None, ["old"]), (3, ["new"], ["new"])]
)
def test_two_renames_are_undone_or_finished_where_names_cannot_be_exchanged(old, rename, during, after):
    code = f"""
scratch._exchange = lambda one, other: False
count, real = [], pathlib.Path.rename
def rename(path, target):
    count.append(path)
    return die() if len(count) == {rename} else real(path, target)
pathlib.Path.rename, shutil.rmtree = rename, die
"""
    killed(code + REPLACE, old)
    assert (names(old) if old.exists() else None) == during
    recover_folder(old)
    assert names(old) == after
    assert names(old.parent) == ["shop"]


def test_both_ways_of_replacing_leave_the_new_folder_alone(old, monkeypatch):
    for step in ("exchange", "two renames"):
        with scratch_folder(UPath(old)) as fresh:
            (fresh / step).touch()
            replace_folder(fresh, UPath(old))
        assert names(old) == [step]
        assert names(old.parent) == ["shop"]
        monkeypatch.setattr(atomic_files, "_exchange", lambda one, other: False)


def test_what_a_living_process_writes_is_left_alone_until_it_is_killed(tmp_path):
    code = """
from upath import UPath
from components.contract.files.tables import _replacing
with scratch.scratch_folder(UPath(sys.argv[1]) / "shop") as fresh, _replacing(UPath(sys.argv[1]) / "report.json"):
    print("writing", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", DIES + code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        before = names(tmp_path)
        clear_leftovers(UPath(tmp_path))
        recover_folder(UPath(tmp_path / "shop"))
        assert names(tmp_path) == before
        assert len(before) == 2
        writer.kill()
    clear_leftovers(UPath(tmp_path))
    assert names(tmp_path) == []


def test_leftovers_are_cleared_at_any_depth_and_other_hidden_files_are_not(tmp_path):
    kept = [".dvc", ".report.json.tmp", ".report.json.0123456z.tmp", "report.json.01234567.tmp"]
    deep = tmp_path / "artifacts" / hidden_name("export", atomic_files.PARTIAL_FOLDER) / "pictures"
    deep.mkdir(parents=True)
    (tmp_path / "artifacts" / hidden_name("ledger.json", atomic_files.PARTIAL_FILE)).touch()
    for name in kept:
        (tmp_path / name).touch()
    clear_leftovers(UPath(tmp_path))
    assert names(tmp_path) == sorted([*kept, "artifacts"])
    assert names(tmp_path / "artifacts") == []


def test_only_the_folders_own_leftovers_are_recovered(old):
    other = old.parent / hidden_name("shop-2", atomic_files.PARTIAL_FOLDER)
    other.mkdir()
    (old.parent / hidden_name("shop", atomic_files.PARTIAL_FOLDER)).mkdir()
    recover_folder(old)
    assert names(old.parent) == sorted(["shop", other.name])


def test_a_run_finds_a_data_set_whose_replacement_was_cut_off(tmp_path, monkeypatch):
    """Where names cannot be exchanged: the old folder stands under its hidden name alone."""
    monkeypatch.chdir(tmp_path)
    hidden = tmp_path / "data" / hidden_name("bakery", atomic_files.REPLACED_FOLDER)
    hidden.mkdir(parents=True)
    (hidden / "dataset.yaml").touch()
    assert _settings(str(ROOT / "params.yaml"), "bakery", None, ()) is not None
    assert names(tmp_path / "data") == ["bakery"]
