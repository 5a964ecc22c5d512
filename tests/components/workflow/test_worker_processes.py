"""Work in processes of its own: in order, logged here, and with its errors."""

import logging
import os
import signal
import time

import numpy as np
import pytest

from components.generators.training.training_loop import TrainingDiverged, TrainStep
from components.settings.errors import UserError
from components.workflow.worker_processes import cores, in_processes

log = logging.getLogger("adloom")


def slow_first(item: int) -> tuple[int, int]:
    time.sleep(0.5 if item == 0 else 0.0)
    log.info("item %d is done", item)
    return item, os.getpid()


def own_threads(item: int) -> str:
    return os.environ["TF_NUM_INTRAOP_THREADS"]


def diverge(item: int) -> int:
    if item == 1:
        raise TrainingDiverged("vae", (TrainStep(7, 1.5, {"loss": float("nan")}),))
    return item


def die(item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_results_are_in_order_and_each_process_logs_here(caplog):
    with caplog.at_level("INFO", logger="adloom"):
        results = in_processes(slow_first, [0, 1, 2], 3)
    assert [item for item, _ in results] == [0, 1, 2]
    assert os.getpid() not in {process for _, process in results}
    assert sorted(caplog.messages) == ["item 0 is done", "item 1 is done", "item 2 is done"]


@pytest.mark.parametrize(("items", "processes"), [([0, 1], 1), ([1], 4), ([], 4)])
def test_one_item_or_one_process_stays_here(items, processes):
    assert in_processes(slow_first, items, processes) == [(item, os.getpid()) for item in items]


def test_workers_share_the_cores():
    assert in_processes(own_threads, [0, 1], 2) == [str(max(1, cores() // 2))] * 2


def test_what_a_worker_raises_is_raised_here():
    with pytest.raises(TrainingDiverged, match="vae: training diverged at step 7: loss is not finite") as raised:
        in_processes(diverge, [0, 1], 2)
    assert raised.value.step == 7 and np.isnan(raised.value.history[-1].losses["loss"])


def test_a_killed_worker_is_one_clear_message():
    with pytest.raises(UserError, match="one of 2 worker processes was killed, perhaps for want of memory"):
        in_processes(die, [0, 1], 2)
