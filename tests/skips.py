"""Tests that need what a machine may lack: which were skipped, why, how to have them run, and whether they could have.

A run ends with one line per group that was skipped. Where ADLOOM_CI is set (.ci/run sets it), a group that this machine
has all it needs for must not be skipped, nor any test for a reason that no group here explains.
"""

import glob
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from PIL import features

CI = "ADLOOM_CI"  # environment variable: this run is to run all that the machine can


def _has(*modules: str) -> bool:
    return all(find_spec(module) for module in modules)


def _has_program(name: str, place: str) -> bool:
    return bool(shutil.which(name) or glob.glob(f"{place}/{name}"))


def _may_mount() -> bool:
    """Whether a disk can be mounted: by mounting one, for a capability does not say what a sandbox forbids."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
        except OSError:
            return False
        return not done.returncode and not subprocess.run(["umount", folder], capture_output=True).returncode


@dataclass(frozen=True)
class Group:
    """Tests with one need. reason: regular expression of the reasons that they are skipped for; enable: what to do;
    can_run: whether this machine has what they need."""

    name: str
    reason: str
    enable: str
    can_run: Callable[[], bool]


GROUPS = (
    Group(
        "the other database",
        r"(MySQL|PostgreSQL) has n|^\w+ has no type",
        "no need, the other database runs the same test",
        lambda: False,
    ),
    Group(
        "PostgreSQL",
        r"PostgreSQL",
        "apt-get install postgresql",
        lambda: _has("psycopg") and _has_program("initdb", "/usr/lib/postgresql/*/bin"),
    ),
    Group(
        "MariaDB",
        r"MariaDB",
        "apt-get install mariadb-server",
        lambda: _has("pymysql") and _has_program("mariadbd", "/usr/sbin"),
    ),
    Group(
        "S3",
        r"moto|s3fs|dvc_s3|extra s3",
        "install the extras dev and s3, as make setup does",
        lambda: _has("moto", "s3fs", "dvc_s3"),
    ),
    Group(
        "npm package",
        r"^storefront: ",
        "install npm, or name a registry in npm_config_registry",
        lambda: bool(shutil.which("npm")),
    ),
    Group(
        "shaped scripts",
        r"FriBiDi",
        "apt-get install libfribidi0",
        lambda: features.check("raqm"),
    ),
    Group("small disk", r"small disk", "run as root, in a container with the right to mount", _may_mount),
)


@dataclass(frozen=True)
class Skipped:
    """The tests skipped for one reason; group is None where none explains it."""

    reason: str
    count: int
    group: Group | None

    def line(self) -> str:
        """One line for a person."""
        told = f"{self.count} {'test' if self.count == 1 else 'tests'}"
        if self.group is None:
            return f"skipped {told}: {self.reason}"
        return f"skipped {told} ({self.group.name}): {self.reason}; to run them: {self.group.enable}"

    def fault(self) -> str | None:
        """Why a run in CI fails for it; None where the machine cannot run these tests."""
        if self.group is None:
            return f"no group in tests/skips.py explains this skip: {self.reason}"
        if self.group.can_run():
            return (
                f"{self.group.name}: this machine has all that these tests need, and they were skipped: {self.reason}"
            )
        return None


def skipped(reports: Iterable) -> list[Skipped]:
    """pytest's reports of skipped tests -> one record per reason, in the order of GROUPS, unexplained ones last."""
    counts = Counter(_reason(report) for report in reports)
    found = [Skipped(reason, count, _group(reason)) for reason, count in counts.items()]
    return sorted(found, key=lambda one: (GROUPS.index(one.group) if one.group else len(GROUPS), one.reason))


def _reason(report) -> str:
    where = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return text.removeprefix("Skipped: ").strip()


def _group(reason: str) -> Group | None:
    return next((group for group in GROUPS if re.search(group.reason, reason)), None)
