"""A run says what it skipped, and in CI fails where it could have run it."""

import os
import re
import subprocess
import sys

import pytest

from components.settings.paths import ROOT
from tests import skips
from tests.skips import CI, GROUPS, Group

CONFTEST = """
import tests.conftest as ours
from tests import skips
from tests.conftest import pytest_sessionfinish, pytest_terminal_summary
skips.GROUPS = (
    skips.Group("servers", "no server", "install one", lambda: {can_run}),
    skips.Group("disks", "no disk", "be root", lambda: False),
)
"""
TESTS = """
import pytest
def test_that_runs(): pass
@pytest.mark.parametrize("number", range(3))
def test_of_a_server(number): pytest.skip("no server here")
@pytest.mark.skip(reason="no disk here")
def test_of_a_disk(): pass
"""
UNEXPLAINED = "\ndef test_of_something(): pytest.skip('on Mondays')\n"


def run(folder, can_run: bool, ci: bool, extra: str = "", *options: str) -> subprocess.CompletedProcess:
    (folder / "conftest.py").write_text(CONFTEST.format(can_run=can_run))
    (folder / "test_some.py").write_text(TESTS + extra)
    environment = {name: value for name, value in os.environ.items() if name != CI and not name.startswith("PYTEST")}
    environment |= {"PYTHONPATH": str(ROOT)} | ({CI: "1"} if ci else {})
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), *options, "test_some.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("options", [(), ("--numprocesses", "2")])
def test_one_line_per_group_tells_how_many_why_and_how_to_have_them_run(tmp_path, options):
    done = run(tmp_path, True, False, "", *options)
    assert done.returncode == 0, done.stdout
    assert "skipped 3 tests (servers): no server here; to run them: install one\n" in done.stdout
    assert "skipped 1 test (disks): no disk here; to run them: be root\n" in done.stdout


@pytest.mark.parametrize("options", [(), ("--numprocesses", "2")])
def test_ci_fails_for_what_it_could_have_run_and_for_nothing_else(tmp_path, options):
    could = run(tmp_path, True, True, "", *options)
    assert could.returncode == 1
    assert "ERROR servers: this machine has all that these tests need" in could.stdout
    assert "ERROR disks" not in could.stdout
    assert run(tmp_path, False, True, "", *options).returncode == 0


def test_ci_fails_for_a_skip_that_nobody_explains(tmp_path):
    done = run(tmp_path, False, True, UNEXPLAINED)
    assert done.returncode == 1
    assert "ERROR no group in tests/skips.py explains this skip: on Mondays" in done.stdout


def test_every_reason_in_the_tests_belongs_to_a_group():
    """Those that stand in the source; a computed one is told by CI."""
    reasons = {
        reason
        for path in (ROOT / "tests").rglob("*.py")
        if path.name != "test_skips.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if "pytest.skip(" in line or "importorskip(" in line
        for reason in re.findall(r"(?:skip\(|reason=)\"([^\"]+)\"", line)
    }
    assert len(reasons) >= 5
    assert [reason for reason in reasons if skips._group(reason) is None] == []


def test_groups_know_what_this_machine_has():
    assert all(isinstance(group, Group) and group.can_run() in (True, False) for group in GROUPS)
