"""Kills every command that writes at seeded moments, then runs it again: nothing may be lost, and nothing left over.

Each kill is SIGKILL to the operation's whole process group: before its n-th change of a file's name or content or
its n-th commit of the registry's database (n drawn evenly), or after a share of its time. Right after it, every data
set and stage must be old, new or known to be unfinished, the ledger must have lost nothing, and each model has the
champion of before or after. Then the operation runs again and must leave what an unkilled run leaves, and no leftovers.

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
    NAME,
    OPERATIONS,
    OWN,
    PULLED,
    STATES,
    Operation,
    database,
    look_at_registry,
    stated,
)
from benchmarks.ope_parallel import resumed
from components.settings.environment import apply, defaults

RESULTS = Path("benchmarks/results/kills.jsonl")
BY_EVENT = 0.75  # share of kills at a counted event; the others come after a share of the time
PULL = "data pull"
CARD = "dataset.yaml"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "ctypes.dlsym"}
TRIES = 6  # a delay that came too late is halved; so many times at most
PATIENCE = 600.0  # seconds that one operation may take


@dataclass(frozen=True)
class Moment:
    """When an operation is killed: before the change with number `event` (from 1), or after `seconds`."""

    event: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return f"change {self.event}" if self.event else f"{self.seconds:.3f} s"


@dataclass(frozen=True)
class Unkilled:
    """What an operation leaves, how many changes it makes and how many seconds it takes."""

    look: str
    changes: int
    seconds: float


class Lab:
    """One project folder, always at the same place (MLflow keeps absolute paths), and the states it can begin in."""

    def __init__(self, root: Path) -> None:
        self.project = root / "project"
        self.states = root / "states"
        self.log = root / "log"
        self.found: dict[str, Unkilled] = {}

    def enter(self, state: str) -> None:
        """Bring the project folder to `state`."""
        shutil.rmtree(self.project, ignore_errors=True)
        kept = self.states / state.replace(" ", "-")
        if kept.exists():
            shutil.copytree(kept, self.project)
            return
        before, work = STATES[state]
        if before is None:
            self.project.mkdir(parents=True)
        else:
            self.enter(before)
        self.done(work)
        shutil.copytree(self.project, kept.with_suffix(".new"))
        kept.with_suffix(".new").rename(kept)

    def child(self, work: Callable[[], object], moment: Moment | None = None) -> tuple[int, int]:
        """Run `work` in a fork in the project folder; its wait status, and how many changes it made."""
        counted, written = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._act(work, moment, written)
        os.close(written)
        status = _waited(pid, moment.seconds if moment else None)
        with os.fdopen(counted, "rb") as pipe:
            told = pipe.read()
        return status, int(told or b"0")

    def _act(self, work: Callable[[], object], moment: Moment | None, written: int) -> None:
        """The forked child: never returns."""
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

    def done(self, work: Callable[[], object]) -> int:
        """Run `work` to its end; how many changes it made. RuntimeError with its log where it fails."""
        status, changes = self.child(work)
        if status != 0:
            raise RuntimeError(f"exit status {status}:\n{self.log.read_text()[-3000:]}")
        return changes

    def seen(self, look: Callable[[], dict]) -> dict:
        """What `look` sees in the project folder, from a child of its own."""
        answer = self.project.parent / "answer.json"
        self.done(lambda: answer.write_text(json.dumps(look(), sort_keys=True)))
        return json.loads(answer.read_text())

    def unkilled(self, operation: Operation) -> Unkilled:
        """What `operation` does when nobody kills it."""
        if operation.name not in self.found:
            self.enter(operation.begins)
            begun = time.monotonic()
            changes = self.done(operation.run)
            seconds = time.monotonic() - begun
            self.found[operation.name] = Unkilled(stated(self.seen(operation.look)), changes, seconds)
        return self.found[operation.name]


def _waited(pid: int, seconds: float | None) -> int:
    """The child's status once it has ended; its whole group is killed after `seconds`, or where it hangs."""
    end = time.monotonic() + (PATIENCE if seconds is None else seconds)
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
    except ProcessLookupError:  # it has not begun a group of its own yet
        os.kill(pid, signal.SIGKILL)


def _count(last: int | None) -> list[int]:
    """Count the changes that this process makes from now on; it kills its group before the one with number `last`."""
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
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="adloom-kills-") as scratch:
            yield Path(scratch).resolve()
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()


@cache
def _lab(root: str) -> Lab:
    """The lab of this process: its folder is its own."""
    return Lab(Path(root) / current_process().name)


def kill(task: tuple[int, str, int, str]) -> dict:
    """One kill: (seed, operation, number, folder) -> when it came, and all that was wrong afterwards."""
    seed, name, number, root = task
    operation, lab = OPERATIONS[name], _lab(root)
    apply(defaults(lab.project / ".adloom"))  # before TensorFlow is imported
    for module in operation.modules:
        importlib.import_module(module)
    due = lab.unkilled(operation)
    generator = np.random.default_rng([seed, number])
    by_event = generator.random() < BY_EVENT
    share = generator.random()
    moment = Moment(event=1 + int(share * due.changes)) if by_event else Moment(seconds=share * due.seconds)
    for _ in range(TRIES):
        lab.enter(operation.begins)
        before = lab.seen(operation.look)
        status, _ = lab.child(operation.run, moment)
        if os.WIFSIGNALED(status):
            break
        moment = Moment(seconds=(moment.seconds or due.seconds) / 2)
    killed = os.WIFSIGNALED(status)
    faults = [] if killed else ["it was not killed"]
    faults += _after_kill(lab, operation, before)
    faults += _after_rerun(lab, operation, due)
    return {"number": number, "operation": name, "moment": str(moment), "killed": killed, "faults": faults}


def _after_kill(lab: Lab, operation: Operation, before: dict) -> list[str]:
    """What is broken right after the kill, before anything ran again."""
    try:
        now = lab.seen(operation.look)
    except RuntimeError as error:
        return [f"after the kill: {error}"]
    due = json.loads(lab.found[operation.name].look)
    if operation.look is look_at_registry:
        return _registry_faults(now, before, due)
    if operation.by_day:
        return _day_faults(now["files"], due["files"])
    if operation.name.startswith("data") and now["files"] not in (before["files"], due["files"]):
        return ["after the kill: the data set is neither the old nor the new one"]
    if "manifest.json" in now["files"] and now["files"] != due["files"]:
        return ["after the kill: a manifest stands beside files of another run"]
    return []


def _day_faults(files: dict[str, str], due: dict[str, str]) -> list[str]:
    """Days that are there must be whole and final; the card alone moves on with each of them."""
    other = [name for name, digest in files.items() if name != CARD and due.get(name) != digest]
    if other or (files and CARD not in files):
        return [f"after the kill: days are not those of an unkilled pull: {other[:3]}"]
    return []


def _registry_faults(now: dict, before: dict, due: dict) -> list[str]:
    faults = []
    if now["ledger"][: len(before["ledger"])] != before["ledger"]:
        faults.append("after the kill: the ledger lost an entry")
    for model, aliases in now["aliases"].items():
        allowed = {state["aliases"].get(model, {}).get("champion") for state in (before, due)}
        if aliases.get("champion") not in allowed:
            faults.append(f"after the kill: the champion of {model} is {aliases.get('champion')}")
    if now["export"] not in (before["export"], due["export"]):
        faults.append("after the kill: the export is neither the old nor the new one")
    return faults


def _after_rerun(lab: Lab, operation: Operation, due: Unkilled) -> list[str]:
    """What differs from an unkilled run once the operation has run again."""
    try:
        complete = operation.once and stated(lab.seen(operation.look)) == due.look
        lab.done(_next_start if complete else operation.again or operation.run)
        now = stated(lab.seen(operation.look))
    except RuntimeError as error:
        return [f"the rerun failed: {error}"]
    faults = [] if now == due.look else [f"the rerun left something else: {_difference(json.loads(now), due)}"]
    hidden = [
        path.relative_to(lab.project).as_posix()
        for folder in ("data", "artifacts")
        for path in (lab.project / folder).rglob(".*")
        if path.suffix != ".lock"  # a lock ends with its process; its file stays
    ]
    return faults + ([f"leftovers: {hidden[:3]}"] if hidden else [])


def _next_start() -> None:
    """What any next command does first, where the killed one was complete already."""
    from upath import UPath

    from components.contract.files.atomic_files import clear_leftovers, recover_folder

    for name in (NAME, OWN, PULLED):
        recover_folder(UPath("data") / name)
    clear_leftovers(UPath("artifacts") / NAME)


def _difference(now: dict, due: Unkilled) -> str:
    told = json.loads(due.look)
    return "; ".join(f"{key}: {now[key]} for {told[key]}" for key in told if now[key] != told[key])[:1500]


def run_kills(kills: int, names: tuple[str, ...], seed: int, root: Path, file: Path, processes: int) -> list[dict]:
    """The rows of `kills` kills, the operations in turn; those that are in `file` already are not done again."""
    tasks = {number: (seed, names[number % len(names)], number, str(root)) for number in range(kills)}
    return resumed(kill, tasks, lambda row: row["number"], file, processes)


@contextmanager
def _database(names: tuple[str, ...]) -> Iterator[bool]:
    """A database to pull from, where one of `names` needs it; whether it is there."""
    if PULL not in names:
        yield True
        return
    with database() as missing:
        if missing:
            print(f"{PULL} is left out: {missing}", file=sys.stderr)
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
    """Kill, run again, print a line per operation and every fault; how many of how many operations came through."""
    with _folder(folder) as root, _database(names) as there:
        names = names if there else tuple(name for name in names if name != PULL)
        rows = run_kills(kills, names, seed, root, file, processes)
    sound = {}
    for name in names:
        own = [row for row in rows if row["operation"] == name]
        sound[name] = [sum(not row["faults"] for row in own), len(own)]
        print(f"{name:<14}{sound[name][0]:>4} of {sound[name][1]}")
        for row in own:
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
    parser.add_argument("--folder", type=Path, help="where the project folders lie; kept, and used again")
    parser.add_argument("--rows", type=Path, default=RESULTS, help="a JSON line per kill; done ones are kept")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    found = measure(
        options.kills,
        tuple(options.operations),
        options.folder,
        options.rows,
        seed=options.seed,
        processes=options.processes,
    )
    line = json.dumps({"benchmark": "kills", **found})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
