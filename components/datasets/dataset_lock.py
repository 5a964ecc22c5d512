"""One writer at a time of a data set that comes from a shop's own tables: a pull or an import."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.settings.errors import UserError


@contextmanager
def dataset_lock(name: str) -> Iterator[None]:
    """Hold the lock of the data set `name` in the state folder; UserError if another pull or import holds it."""
    state = Path(os.environ.get("ADLOOM_STATE", ".adloom"))
    state.mkdir(parents=True, exist_ok=True)
    with (state / f"dataset-{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{name}: another pull or import of it is running") from None
        yield
