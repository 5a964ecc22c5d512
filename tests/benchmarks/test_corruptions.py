"""The benchmark of corrupted inputs: a small run has no failure, and failures of each kind are found."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import corruptions
from benchmarks.corruption_inputs import make_inputs
from benchmarks.corruption_kinds import KINDS, Corruption
from benchmarks.corruptions import COMMANDS, Figures, Result, forked, summary
from components.settings.errors import UserError
from components.settings.paths import ROOT


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("valid")
    make_inputs(folder / "valid")
    return folder / "valid"


@pytest.mark.slow
def test_corrupted_inputs_are_refused_or_reported(tmp_path, monkeypatch):
    options = ["--trials", "45", "--seed", "3", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "benchmarks.corruptions", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["trials"], found["failures"], found["failed"]) == (45, 0, [])
    assert all(sum(found[command].values()) == 15 for command in COMMANDS)
    for name in ("make_inputs", "trial"):
        monkeypatch.setattr(corruptions, name, None)
    monkeypatch.setattr(logging, "disable", lambda level: None)  # or later tests would log nothing
    assert corruptions.main(options) == found, "a finished run is not run again"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_a_file_and_the_same_seed_does_the_same(kind, valid, tmp_path):
    before, corrupted = corruptions._files(valid / "shop"), []
    for copy in range(2):
        for seed in range(3):
            folder = tmp_path / f"{copy}-{seed}"
            shutil.copytree(valid / "shop", folder)
            KINDS[kind](folder, np.random.default_rng(seed))
            corrupted.append(corruptions._files(folder))
    assert corrupted[:3] == corrupted[3:] and any(files != before for files in corrupted)


def acting(monkeypatch, act):
    monkeypatch.setattr(corruptions, "figures_of", lambda command, inputs, project, form: act(inputs, project))
    monkeypatch.setitem(KINDS, "plain", lambda folder, random: Corruption("nowhere"))


def outside(inputs, project):
    (project.parent / "escaped.png").write_text("")
    raise UserError("refused, too late")


def losing(inputs, project):
    (project / "artifacts" / "shop" / "validation" / "earlier.txt").unlink()
    raise UserError("refused")


def refusing(inputs, project):
    raise UserError("no such file")


def failing(inputs, project):
    raise KeyError("position")


def without_message(inputs, project):
    raise UserError("")


ACTS = [
    (refusing, "refused"),
    (failing, "traceback"),
    (without_message, "traceback"),
    (outside, "outside"),
    (losing, "lost"),
    (lambda inputs, project: Figures("1", "rows"), "same"),
    (lambda inputs, project: Figures("2", "rows"), "silent"),
    (lambda inputs, project: Figures("2", "fewer rows"), "reported"),
]


@pytest.mark.parametrize(("act", "outcome"), ACTS, ids=[outcome for _, outcome in ACTS])
def test_every_outcome_is_distinguished(act, outcome, valid, monkeypatch):
    acting(monkeypatch, act)
    baselines = {f"{command} {form}": Figures("1", "rows") for command in COMMANDS for form in ("parquet", "csv")}
    here = Path.cwd()
    try:
        found = corruptions.trial(2, 0, valid, baselines, "plain")
    finally:
        os.chdir(here)
    assert (found.outcome, found.command) == (outcome, "run")
    row = {"trial": 2, "command": "run", "kind": "plain", "where": "", "outcome": outcome}
    assert summary([row])["failures"] == (outcome in corruptions.FAILURES)


def test_a_process_that_dies_is_a_result():
    def die():
        os._exit(7)

    found = forked(die, lambda outcome, message: Result(0, "run", "", "", outcome, message))
    assert (found.outcome, found.message) == ("traceback", "the process ended with 7")
