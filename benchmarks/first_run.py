"""The cost of a first run by stage: seconds, CPU-seconds, peak memory and bytes written.

    python -m benchmarks.first_run [--commits COMMIT ...] [--targets run,test,check] [--keep DIR] [--out FILE]

Each commit is cloned into a new folder with an empty home directory, in which `make setup`, `make data` and then each
target run. Name all commits to compare in one call: they run one after the other on the same machine. A target that a
commit's Makefile lacks is reported.

Seconds are wall-clock time, which other work on the machine increases; CPU-seconds are those of all processes of the
command. Memory is the largest sum of the proportional set sizes (PSS) of those processes, sampled four times a second,
so pages that processes share count once. Bytes written are those passed to storage. A stage lasts from its line
"running" to its line "done" in the output; the rest of `run` (imports, Prefect, publication) is named `between`. Prints
one line of JSON at the end.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

INTERVAL = 0.25  # seconds between samples
STAGE = re.compile(r"s  (\S+ \S+): (running|done)")
BETWEEN = "between"


@dataclass
class Usage:
    """The resources that a command or one of its stages used."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_gib: float = 0.0
    written_gib: float = 0.0

    def rounded(self) -> dict[str, float]:
        """The figures for JSON, rounded to two decimal places."""
        return {name: round(value, 2) for name, value in vars(self).items()}


@dataclass
class Meter:
    """Samples a process and its descendants until `stop`; `part` is the name of the current stage."""

    process: psutil.Process
    part: str = BETWEEN
    parts: dict[str, Usage] = field(default_factory=dict)
    _totals: dict[tuple[int, float], tuple[float, int]] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Sample until stopped."""
        last = time.monotonic()
        while not self._stopped.wait(INTERVAL):
            now = time.monotonic()
            self._sample(self.parts.setdefault(self.part, Usage()), now - last)
            last = now

    def stop(self) -> None:
        """End the sampling."""
        self._stopped.set()

    def _sample(self, usage: Usage, seconds: float) -> None:
        memory = 0
        usage.seconds += seconds
        for process in self._processes():
            try:
                with process.oneshot():
                    key = (process.pid, process.create_time())
                    times, written = process.cpu_times(), process.io_counters().write_bytes
                    memory += process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            processor = times.user + times.system
            before, wrote = self._totals.get(key, (0.0, 0))
            usage.processor_seconds += processor - before
            usage.written_gib += (written - wrote) / 2**30
            self._totals[key] = (processor, written)
        usage.peak_gib = max(usage.peak_gib, memory / 2**30)

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def measured(command: list[str], folder: Path, environment: dict[str, str], log: Path) -> dict[str, Usage]:
    """The resources of `command`, run in `folder`, by stage as its output names them, and in `total`."""
    with log.open("w") as lines:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        meter = Meter(psutil.Process(process.pid))
        sampler = threading.Thread(target=meter.run)
        sampler.start()
        for line in process.stdout:
            lines.write(line)
            lines.flush()
            follow(line, meter)
        status = process.wait()
        meter.stop()
        sampler.join()
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with {status}; its screen is in {log}")
    return {**meter.parts, "total": total(meter.parts)}


def follow(line: str, meter: Meter) -> None:
    """Switch the meter's part if `line` of the output reports that a stage begins or ends."""
    match = STAGE.search(line)
    if match:
        meter.part = match[1] if match[2] == "running" else BETWEEN


def total(parts: dict[str, Usage]) -> Usage:
    """The sums over `parts`, and their largest peak."""
    return Usage(
        sum(usage.seconds for usage in parts.values()),
        sum(usage.processor_seconds for usage in parts.values()),
        max((usage.peak_gib for usage in parts.values()), default=0.0),
        sum(usage.written_gib for usage in parts.values()),
    )


def first_run(commit: str, targets: tuple[str, ...], folder: Path) -> dict:
    """The resources of `make setup`, `make data` and each target in a clone of `commit` in `folder`."""
    clone, home = folder / "clone", folder / "home"
    home.mkdir(parents=True)
    git("clone", "--quiet", str(Path.cwd()), str(clone))
    git("-C", str(clone), "checkout", "--quiet", commit)
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {"HOME": str(home)}
    answer: dict = {"commit": git("-C", str(clone), "rev-parse", "--short", "HEAD")}
    for target in ("setup", "data", *targets):
        if not has_target(clone, target):
            answer[target] = None
            print(f"{answer['commit']} has no target {target}", file=sys.stderr)
            continue
        parts = measured(["make", target], clone, environment, folder / f"{target}.log")
        answer[target] = {name: used.rounded() for name, used in parts.items()}
        report(answer["commit"], target, parts, lambda line: print(line, file=sys.stderr, flush=True))
    return answer


def has_target(clone: Path, target: str) -> bool:
    """Whether the clone's Makefile has `target`."""
    return re.search(rf"^{target}:", (clone / "Makefile").read_text(), re.MULTILINE) is not None


def report(commit: str, target: str, parts: dict[str, Usage], show: Callable[[str], None]) -> None:
    """Show a table of `parts` line by line."""
    show(f"{commit} make {target}")
    show(f"  {'part':32} {'s':>8} {'CPU s':>8} {'GiB':>6} {'GiB written':>12}")
    for name, used in parts.items():
        figures = f"{used.seconds:8.1f} {used.processor_seconds:8.1f} {used.peak_gib:6.2f} {used.written_gib:12.2f}"
        show(f"  {name:32} {figures}")


def git(*arguments: str) -> str:
    """The output of git."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure the commits and print the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", nargs="+", default=["HEAD"])
    parser.add_argument("--targets", default="run", help="of the Makefile, besides setup and data, with commas")
    parser.add_argument("--keep", type=Path, help="folder for the clones, which is not deleted")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    targets = tuple(options.targets.split(","))
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        runs = [first_run(commit, targets, base / f"{number}") for number, commit in enumerate(options.commits)]
    line = json.dumps({"benchmark": "first_run", "runs": runs})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
