"""Train any recipe: a generator yields a frozen record per step; the caller logs, draws progress and keeps files."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from components.generators.training import training_state
from components.generators.training.gradient_step import compile_steps
from components.generators.training.recipe import Recipe
from components.generators.training.training_batches import Batches
from components.settings.errors import UserError


@dataclass(frozen=True)
class TrainStep:
    """One training step: its number from 1, seconds of training so far (wall clock), and its losses by name."""

    step: int
    seconds: float
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """What a run came to. capped: `max_seconds` ended it before its steps were done. Seconds count all its parts."""

    steps: int
    planned: int
    seconds: float
    cpu_seconds: float
    capped: bool

    def to_dict(self) -> dict[str, int | bool]:
        """What a rerun repeats, as JSON values; seconds are not among it."""
        return {"steps": self.steps, "planned": self.planned, "capped": self.capped}


class TrainingDiverged(UserError):
    """A loss was not finite. Keeps the step at which, and every step until then."""

    def __init__(self, label: str, history: tuple[TrainStep, ...]) -> None:
        """`history` ends with the step whose loss was not finite."""
        last = history[-1]
        broken = ", ".join(name for name, value in last.losses.items() if not math.isfinite(value))
        super().__init__(f"{label}: training diverged at step {last.step}: {broken} is not finite; lower learning_rate")
        self.step, self.history = last.step, history


class Training:
    """A run of `recipe` on `batches`, resumable at any point between records.

    for record in training.run():
        log(record)
        if due(record):
            keep(training.checkpoint())
    training.summary()
    """

    def __init__(
        self,
        label: str,
        recipe: Recipe,
        batches: Batches,
        steps: int,
        max_seconds: float,
        steps_per_dispatch: int = 1,
        resume: bytes | None = None,
    ) -> None:
        """label: name of this run (a checkpoint of another label is refused); resume: bytes of `checkpoint()`."""
        self.label, self.recipe, self.batches = label, recipe, batches
        self._planned, self._max_seconds, self._width = steps, max_seconds, steps_per_dispatch
        self._done, self._seconds, self._cpu_seconds = 0, 0.0, 0.0
        self._names: tuple[str, ...] = ()
        self._losses: list[np.ndarray] = []  # one float32 [losses] per step done
        if resume is not None:
            progress = training_state.restore(recipe, label, resume)
            self._done, self._seconds, self._cpu_seconds = progress.steps, progress.seconds, progress.cpu_seconds
            self._names, self._losses = progress.names, list(progress.losses)

    def run(self) -> Iterator[TrainStep]:
        """Train on, one record per step, until the steps are done or the clock has run out."""
        clock, processor = time.perf_counter() - self._seconds, time.process_time() - self._cpu_seconds
        train = compile_steps(self.recipe)
        longest = 0.0  # seconds of the slowest dispatch so far but the first, which compiles
        for count, batch in self.batches.dispatches(self._done, self._planned, self._width):
            before = time.perf_counter()
            if before - clock + longest > self._max_seconds:
                break
            metrics = train(batch)
            now = time.perf_counter()
            longest = max(longest, now - before) if self._losses else 0.0
            self._seconds, self._cpu_seconds = now - clock, time.process_time() - processor
            self._names = tuple(metrics)
            self._losses.extend(np.stack(list(metrics.values()), axis=1).astype(np.float32))
            self._done += count
            self._refuse_non_finite(count)
            for step in range(self._done - count, self._done):
                yield self._record(step)

    def checkpoint(self) -> bytes:
        """The state after all finished steps; a run resumed from it ends with the same weights as this one."""
        losses = np.stack(self._losses) if self._losses else np.zeros((0, 0), np.float32)
        progress = training_state.Progress(self._done, self._seconds, self._cpu_seconds, self._names, losses)
        return training_state.to_bytes(self.recipe, self.label, progress)

    def history(self) -> tuple[TrainStep, ...]:
        """Every step so far. Seconds within the run are not kept by a checkpoint: all carry the latest."""
        return tuple(self._record(step) for step in range(self._done))

    def summary(self) -> Summary:
        """How far the run came and at what cost."""
        capped = self._done < self._planned
        return Summary(self._done, self._planned, self._seconds, self._cpu_seconds, capped)

    def _record(self, step: int) -> TrainStep:
        values = (float(value) for value in self._losses[step])
        return TrainStep(step + 1, self._seconds, dict(zip(self._names, values, strict=True)))

    def _refuse_non_finite(self, count: int) -> None:
        for step in range(self._done - count, self._done):
            if not np.isfinite(self._losses[step]).all():
                raise TrainingDiverged(self.label, tuple(self._record(past) for past in range(step + 1)))
