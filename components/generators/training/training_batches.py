"""Training batches as a function of (seed, step), so that a resumed run gets the same batches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from components.generators.photos.training_photos import Photos

Batch = dict[str, np.ndarray]  # name -> [updates, batch, ...]

ORDER, SEGMENT, NOISE = 0, 1, 2  # independent streams of random numbers


@dataclass(frozen=True)
class Noise:
    """A random input of a network: `name` and the shape of one row; standard normal, or uniform in [0, 1)."""

    name: str
    shape: tuple[int, ...]
    uniform: bool = False

    def draw(self, random: np.random.Generator, count: int) -> np.ndarray:
        """float32 [count, *shape]; the first rows do not depend on `count`."""
        shape = (count, *self.shape)
        return random.random(shape, np.float32) if self.uniform else random.standard_normal(shape, np.float32)


@dataclass(frozen=True)
class Batches:
    """Batches for steps of `updates` updates, with the noise for the losses.

    `pictures`: uint8 [updates, b, h, w, c]; `category`, `segment`: int32 [updates, b]; each Noise by its name. Photos
    have a new random order in each epoch; a photo's segment is drawn from its weights each time.
    """

    photos: Photos
    batch_size: int
    updates: int
    noises: tuple[Noise, ...]
    seed: int
    extra: Batch = field(default_factory=dict)  # further columns, [n, ...], in the order of the photos

    def at(self, step: int) -> Batch:
        """The batch of `step`, counted from 0."""
        count = self.updates * self.batch_size
        rows = self._rows(step * count, count)
        batch = {
            "pictures": self.photos.pictures[rows],
            "category": self.photos.category[rows],
            "segment": self._segments(rows, step),
        }
        batch.update({name: values[rows] for name, values in self.extra.items()})
        for stream, noise in enumerate(self.noises, start=NOISE):
            batch[noise.name] = noise.draw(np.random.default_rng((self.seed, stream, step)), count)
        return {
            name: values.reshape(self.updates, self.batch_size, *values.shape[1:]) for name, values in batch.items()
        }

    def dispatches(self, first: int, last: int, width: int) -> Iterator[tuple[int, Batch]]:
        """(steps, batches stacked to [steps, updates, b, ...]) from `first` to `last`; a thread makes the next one."""
        starts = range(first, last, width)
        with ThreadPoolExecutor(max_workers=1) as pool:
            ahead = [pool.submit(self._stack, start, min(start + width, last)) for start in starts[:1]]
            for following in [*starts[1:], None][: len(starts)]:
                ready = ahead.pop()
                if following is not None:
                    ahead.append(pool.submit(self._stack, following, min(following + width, last)))
                yield ready.result()

    def _stack(self, start: int, stop: int) -> tuple[int, Batch]:
        batches = [self.at(step) for step in range(start, stop)]
        return len(batches), {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}

    def _rows(self, position: int, count: int) -> np.ndarray:
        total = len(self.photos.category)
        places = np.arange(position, position + count)
        epochs, within = np.divmod(places, total)
        rows = np.empty(count, dtype=np.int64)
        for epoch in np.unique(epochs):
            in_epoch = epochs == epoch
            rows[in_epoch] = _order(self.seed, int(epoch), total)[within[in_epoch]]
        return rows

    def _segments(self, rows: np.ndarray, step: int) -> np.ndarray:
        draws = np.random.default_rng((self.seed, SEGMENT, step)).random((len(rows), 1))
        cumulative = np.cumsum(self.photos.segment_weights[rows], axis=1, dtype=np.float64)
        return np.minimum((cumulative <= draws).sum(axis=1), self.photos.segments).astype(np.int32)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, total: int) -> np.ndarray:
    return np.random.default_rng((seed, ORDER, epoch)).permutation(total)
