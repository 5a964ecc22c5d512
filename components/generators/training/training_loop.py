"""Train any recipe, as an iterator with a frozen record per step; the caller logs and stores checkpoints."""

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
    """The result of a run. capped: `max_seconds` ended it before all steps; seconds include those before a resume."""

    steps: int
    planned: int
    seconds: float
    cpu_seconds: float
    capped: bool

    def to_dict(self) -> dict[str, int | bool]:
        """JSON values that are equal in a rerun, so without seconds."""
        return {"steps": self.steps, "planned": self.planned, "capped": self.capped}


class TrainingDiverged(UserError):
    """A loss is not finite. step: at which; history: every step until then."""

    def __init__(self, label: str, history: tuple[TrainStep, ...]) -> None:
        """`history` ends with the step whose loss was not finite."""
        last = history[-1]
        broken = ", ".join(name for name, value in last.losses.items() if not math.isfinite(value))
        super().__init__(f"{label}: training diverged at step {last.step}: {broken} is not finite; lower learning_rate")
        self.step, self.history = last.step, history


class Training:
    """A run of `recipe` on `batches`, which can be resumed from a checkpoint after any record.

    for record in training.run():
        log(record)
        if record.step % 100 == 0:
            store(training.checkpoint())
    training.summary()
    """

    def __init__(
        self,
        label: str,
        recipe: Recipe,
        batches: Batches,
        steps: int,
        max_seconds: float,
        *,
        steps_per_dispatch: int = 1,
        resume: bytes | None = None,
    ) -> None:
        """label: identifies the run; resume: bytes of `checkpoint()`, a UserError if its label differs."""
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
        """Continue training, one record per step, until all steps are done or `max_seconds` have passed."""
        clock, processor = time.perf_counter() - self._seconds, time.process_time() - self._cpu_seconds
        train = compile_steps(self.recipe)
        longest = 0.0  # seconds of the slowest dispatch so far, without the first, which compiles
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
        """Every step so far, each with the latest seconds, since a checkpoint does not store those of each step."""
        return tuple(self._record(step) for step in range(self._done))

    def summary(self) -> Summary:
        """The steps and seconds so far."""
        capped = self._done < self._planned
        return Summary(self._done, self._planned, self._seconds, self._cpu_seconds, capped)

    def _record(self, step: int) -> TrainStep:
        values = (float(value) for value in self._losses[step])
        return TrainStep(step + 1, self._seconds, dict(zip(self._names, values, strict=True)))

    def _refuse_non_finite(self, count: int) -> None:
        for step in range(self._done - count, self._done):
            if not np.isfinite(self._losses[step]).all():
                raise TrainingDiverged(self.label, tuple(self._record(past) for past in range(step + 1)))
