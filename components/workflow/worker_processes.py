"""Work on several items at a time, each in a process of its own, whose log lines appear in the log of this one."""

import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from logging.handlers import QueueHandler, QueueListener
from typing import TypeVar

from components.settings.environment import prepare
from components.settings.errors import UserError

log = logging.getLogger("adloom")
Item, Result = TypeVar("Item"), TypeVar("Result")


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(work: Callable[[Item], Result], items: Sequence[Item], processes: int) -> list[Result]:
    """`work` of each item, in order, `processes` at a time; in this process if that is 1 or there is one item.

    Elsewhere `work`, items and results must be picklable. The workers share the cores evenly. What a worker raises is
    raised here when the others have ended; UserError if a worker was killed.
    """
    workers = min(len(items), processes)
    if workers <= 1:
        return [work(item) for item in items]
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of TensorFlow's threads
    records = context.Queue()
    listener = QueueListener(records, _Forward())
    listener.start()
    begin = (records, log.getEffectiveLevel(), max(1, cores() // workers))
    try:
        with ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=begin) as pool:
            return list(pool.map(work, items))
    except BrokenProcessPool:
        raise UserError(
            f"one of {workers} worker processes was killed, perhaps for want of memory; creatives.processes=1 trains "
            "the generators one after the other, in less memory"
        ) from None
    finally:
        listener.stop()


class _Forward(logging.Handler):
    """Hands a worker's records to this process's loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


def _begin_worker(records: multiprocessing.Queue, level: int, threads: int) -> None:
    """Prepare a new process: TensorFlow's threads and silence, and a log that goes to `records`."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)
    prepare()
    log.handlers, log.propagate = [QueueHandler(records)], False
    log.setLevel(level)
