"""Kills every command that writes at seeded moments and runs it again: nothing may be lost, no leftovers may remain.

Each kill is SIGKILL to the operation's whole process group: before its n-th change of a file's name or content or
its n-th commit to the registry's database (n uniform), or after a fraction of its duration. Right after the kill, every
data set and stage must be the old one, the new one or marked unfinished, the ledger must have lost no entry, and each
model's champion must be that of before or after. Then the operation runs again; its outputs must equal those of an
uninterrupted run, without leftovers.

Operations run in forks of one process that has imported everything, each in a copy of a small project folder.

    python -m benchmarks.kills --kills 200 --processes 1
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import current_process
from pathlib import Path

import numpy as np

from benchmarks.kill_operations import (
    ADDED,
    NAME,
    OPERATIONS,
    PULLED,
    STATES,
    Operation,
    as_json,
    database,
    observe_registry,
)
from benchmarks.ope_parallel import resumed
from components.settings.environment import apply, defaults

RESULTS = Path("benchmarks/results/kills.jsonl")
BY_EVENT = 0.75  # fraction of kills at a counted event; the others come after a fraction of the duration
PULL = "data pull"
CARD = "dataset.yaml"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "ctypes.dlsym"}
MAX_TRIES = 6  # a delay longer than the operation is halved and tried again
TIMEOUT = 600.0  # seconds of one operation


@dataclass(frozen=True)
class Moment:
    """When an operation is killed: before the change with number `event` (from 1), or after `seconds`."""

    event: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return f"change {self.event}" if self.event else f"{self.seconds:.3f} s"


@dataclass(frozen=True)
class Uninterrupted:
    """An uninterrupted run of an operation: its outputs (JSON of `observe`), number of changes, and duration."""

    outputs: str
    changes: int
    seconds: float


class Lab:
    """A project folder, always at the same path (MLflow stores absolute paths), and copies of its initial states."""

    def __init__(self, root: Path) -> None:
        self.project = root / "project"
        self.states = root / "states"
        self.log = root / "log"
        self.uninterrupted_runs: dict[str, Uninterrupted] = {}

    def enter(self, state: str) -> None:
        """Set the project folder to `state`."""
        shutil.rmtree(self.project, ignore_errors=True)
        stored = self.states / state.replace(" ", "-")
        if stored.exists():
            shutil.copytree(stored, self.project)
            return
        before, work = STATES[state]
        if before is None:
            self.project.mkdir(parents=True)
        else:
            self.enter(before)
        self.run_to_end(work)
        shutil.copytree(self.project, stored.with_suffix(".new"))
        stored.with_suffix(".new").rename(stored)

    def child(self, work: Callable[[], object], moment: Moment | None = None) -> tuple[int, int]:
        """(wait status, number of changes) of `work`, run in a fork in the project folder and killed at `moment`."""
        counted, written = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._act(work, moment, written)
        os.close(written)
        status = _wait(pid, moment.seconds if moment else None)
        with os.fdopen(counted, "rb") as pipe:
            content = pipe.read()
        return status, int(content or b"0")

    def _act(self, work: Callable[[], object], moment: Moment | None, written: int) -> None:
        """Run `work` as the forked child; never returns."""
        code = 1
        try:
            os.setsid()
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(self.project)
            changes = _count(moment.event if moment else None)
            work()
            os.write(written, str(changes[0]).encode())
            code = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def run_to_end(self, work: Callable[[], object]) -> int:
        """The number of changes that `work` makes. Raises RuntimeError with its log if it fails."""
        status, changes = self.child(work)
        if status != 0:
            raise RuntimeError(f"exit status {status}:\n{self.log.read_text()[-3000:]}")
        return changes

    def observe(self, function: Callable[[], dict]) -> dict:
        """The result of `function`, called in a fork in the project folder."""
        answer = self.project.parent / "answer.json"
        self.run_to_end(lambda: answer.write_text(json.dumps(function(), sort_keys=True)))
        return json.loads(answer.read_text())

    def uninterrupted(self, operation: Operation) -> Uninterrupted:
        """The uninterrupted run of `operation`, which runs at the first call."""
        if operation.name not in self.uninterrupted_runs:
            self.enter(operation.initial_state)
            start = time.monotonic()
            changes = self.run_to_end(operation.run)
            seconds = time.monotonic() - start
            outputs = as_json(self.observe(operation.observe))
            self.uninterrupted_runs[operation.name] = Uninterrupted(outputs, changes, seconds)
        return self.uninterrupted_runs[operation.name]


def _wait(pid: int, seconds: float | None) -> int:
    """The child's wait status; its whole process group is killed after `seconds` or TIMEOUT."""
    end = time.monotonic() + (TIMEOUT if seconds is None else seconds)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > end:
            _kill_group(pid)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.002)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has not created its process group yet
        os.kill(pid, signal.SIGKILL)


def _count(last: int | None) -> list[int]:
    """A list with the count of this process's changes from now on; its group is killed before change `last`."""
    count = [0]

    def change() -> None:
        count[0] += 1
        if count[0] == last:
            os.killpg(0, signal.SIGKILL)

    def hook(event: str, arguments: tuple) -> None:
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            change()

    sys.addaudithook(hook)
    if "sqlalchemy" in sys.modules:
        from sqlalchemy import Engine, event

        event.listen(Engine, "commit", lambda connection: change())
    return count


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="adloom-kills-") as scratch:
            yield Path(scratch).resolve()
    else:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()


@cache
def _lab(root: str) -> Lab:
    """The lab of this process, in a folder that no other process uses."""
    return Lab(Path(root) / current_process().name)


def kill(task: tuple[int, str, int, str]) -> dict:
    """The row of one kill (seed, operation, number, folder): its moment and the faults found afterwards."""
    seed, name, number, root = task
    operation, lab = OPERATIONS[name], _lab(root)
    apply(defaults(lab.project / ".adloom"))  # before TensorFlow is imported
    for module in operation.modules:
        importlib.import_module(module)
    expected = lab.uninterrupted(operation)
    generator = np.random.default_rng([seed, number])
    by_event = generator.random() < BY_EVENT
    share = generator.random()
    moment = Moment(event=1 + int(share * expected.changes)) if by_event else Moment(seconds=share * expected.seconds)
    for _ in range(MAX_TRIES):
        lab.enter(operation.initial_state)
        before = lab.observe(operation.observe)
        status, _ = lab.child(operation.run, moment)
        if os.WIFSIGNALED(status):
            break
        moment = Moment(seconds=(moment.seconds or expected.seconds) / 2)
    killed = os.WIFSIGNALED(status)
    faults = [] if killed else ["it was not killed"]
    faults += _after_kill(lab, operation, before)
    faults += _after_rerun(lab, operation, expected)
    return {"number": number, "operation": name, "moment": str(moment), "killed": killed, "faults": faults}


def _after_kill(lab: Lab, operation: Operation, before: dict) -> list[str]:
    """Faults right after the kill."""
    try:
        now = lab.observe(operation.observe)
    except RuntimeError as error:
        return [f"after the kill: {error}"]
    expected = json.loads(lab.uninterrupted_runs[operation.name].outputs)
    if operation.observe is observe_registry:
        return _registry_faults(now, before, expected)
    if operation.by_day:
        return _day_faults(now["files"], expected["files"])
    if operation.name.startswith("data") and now["files"] not in (before["files"], expected["files"]):
        return ["after the kill: the data set is neither the old nor the new one"]
    if "manifest.json" in now["files"] and now["files"] != expected["files"]:
        return ["after the kill: there is a manifest with files of another run"]
    return []


def _day_faults(files: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Faults of the days of a pull: each file must equal the final one; only the card changes with each day."""
    other = [name for name, digest in files.items() if name != CARD and expected.get(name) != digest]
    if other or (files and CARD not in files):
        return [f"after the kill: days are not those of an uninterrupted pull: {other[:3]}"]
    return []


def _registry_faults(now: dict, before: dict, expected: dict) -> list[str]:
    faults = []
    if now["ledger"][: len(before["ledger"])] != before["ledger"]:
        faults.append("after the kill: the ledger lost an entry")
    for model, aliases in now["aliases"].items():
        allowed = {state["aliases"].get(model, {}).get("champion") for state in (before, expected)}
        if aliases.get("champion") not in allowed:
            faults.append(f"after the kill: the champion of {model} is {aliases.get('champion')}")
    if now["export"] not in (before["export"], expected["export"]):
        faults.append("after the kill: the export is neither the old nor the new one")
    return faults


def _after_rerun(lab: Lab, operation: Operation, expected: Uninterrupted) -> list[str]:
    """Differences from an uninterrupted run after the operation has run again."""
    try:
        complete = operation.once and as_json(lab.observe(operation.observe)) == expected.outputs
        lab.run_to_end(_next_start if complete else operation.rerun or operation.run)
        now = as_json(lab.observe(operation.observe))
    except RuntimeError as error:
        return [f"the rerun failed: {error}"]
    difference = _difference(json.loads(now), expected)
    faults = [] if now == expected.outputs else [f"the outputs of the rerun differ: {difference}"]
    hidden = [
        path.relative_to(lab.project).as_posix()
        for folder in ("data", "artifacts")
        for path in (lab.project / folder).rglob(".*")
        if path.suffix != ".lock"  # the file of a lock remains after its process has ended
    ]
    return faults + ([f"leftovers: {hidden[:3]}"] if hidden else [])


def _next_start() -> None:
    """The first step of the next command, which follows if the killed one was already complete."""
    from upath import UPath

    from components.contract.files.atomic_files import clear_leftovers, recover_folder

    for name in (NAME, ADDED, PULLED):
        recover_folder(UPath("data") / name)
    clear_leftovers(UPath("artifacts") / NAME)


def _difference(now: dict, expected: Uninterrupted) -> str:
    wanted = json.loads(expected.outputs)
    return "; ".join(f"{key}: {now[key]} instead of {wanted[key]}" for key in wanted if now[key] != wanted[key])[:1500]


def run_kills(kills: int, names: tuple[str, ...], seed: int, *, root: Path, file: Path, processes: int) -> list[dict]:
    """The rows of `kills` kills of the operations `names` in turn; kills whose rows are in `file` are not repeated."""
    tasks = {number: (seed, names[number % len(names)], number, str(root)) for number in range(kills)}
    return resumed(kill, tasks, lambda row: row["number"], file, processes)


@contextmanager
def _database(names: tuple[str, ...]) -> Iterator[bool]:
    """Start a database if one of `names` needs it; yields whether all of `names` can run."""
    if PULL not in names:
        yield True
        return
    with database() as missing:
        if missing:
            print(f"{PULL} is skipped: {missing}", file=sys.stderr)
        yield missing is None


def measure(
    kills: int,
    names: tuple[str, ...],
    folder: Path | None = None,
    file: Path = RESULTS,
    *,
    seed: int = 20261,
    processes: int = 1,
) -> dict:
    """Counts of kills and of kills without a fault, in all and by operation; prints them and every fault."""
    with _folder(folder) as root, _database(names) as available:
        names = names if available else tuple(name for name in names if name != PULL)
        rows = run_kills(kills, names, seed, root=root, file=file, processes=processes)
    sound = {}
    for name in names:
        group = [row for row in rows if row["operation"] == name]
        sound[name] = [sum(not row["faults"] for row in group), len(group)]
        print(f"{name:<14}{sound[name][0]:>4} of {sound[name][1]}")
        for row in group:
            for fault in row["faults"]:
                print(f"  kill {row['number']} at {row['moment']}: {fault}")
    return {"kills": len(rows), "recovered": sum(not row["faults"] for row in rows), "operations": sound}


def main() -> None:
    """`measure`, then the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20261)
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--folder", type=Path, help="of the project folders, which are kept and used again")
    parser.add_argument(
        "--rows", type=Path, default=RESULTS, help="file with a JSON line per kill; kills in it are not repeated"
    )
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    figures = measure(
        options.kills,
        tuple(options.operations),
        options.folder,
        options.rows,
        seed=options.seed,
        processes=options.processes,
    )
    line = json.dumps({"benchmark": "kills", **figures})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
