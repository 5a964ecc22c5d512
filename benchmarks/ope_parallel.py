"""Runs replicates in parallel processes with one BLAS thread each, since their matrices are small."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def replicate(work: Callable, tasks: Sequence, processes: int) -> Iterator:
    """Yields `work(task)` of every task in order of completion; `work` must be importable. Progress goes to stderr."""
    from multiprocessing import get_context

    if not tasks:
        return
    for name in THREADS:
        os.environ[name] = "1"
    with get_context("spawn").Pool(processes) as pool:
        for done, answer in enumerate(pool.imap_unordered(work, tasks), 1):
            if done % max(1, len(tasks) // 20) == 0:
                print(f"{done}/{len(tasks)}", file=sys.stderr, flush=True)
            yield answer


def resumed(work: Callable, tasks: dict, key: Callable[[dict], object], file: Path, processes: int) -> list[dict]:
    """The rows of `tasks` (key -> task): those in `file`, one JSON line each, and the others, which are computed.

    New rows are appended to `file`, so an interrupted run continues where it stopped. Delete `file` before a run with
    other settings or code.
    """
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {key(row): row for row in rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        for row in replicate(work, [task for name, task in tasks.items() if name not in done], processes):
            done[key(row)] = row
            lines.write(json.dumps(row, default=float) + "\n")
            lines.flush()
    return [done[name] for name in tasks]


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927)."""
    if trials == 0:
        return 0.0, 1.0
    z, share = 1.959964, hits / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * ((share * (1 - share) + z * z / (4 * trials)) / trials) ** 0.5 / (1 + z * z / trials)
    return centre - half, centre + half
