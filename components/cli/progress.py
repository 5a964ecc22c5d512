"""Progress of long commands: the log of the stages on standard error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from components.contract.escaping import terminal


@contextmanager
def show_progress() -> Iterator[None]:
    """Print the messages of the logger `adloom`, with the seconds since the command began."""
    logger = logging.getLogger("adloom")
    handler = logging.StreamHandler()
    handler.setFormatter(_SinceStart("%(elapsed)7.1f s  %(message)s"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _SinceStart(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.elapsed = record.relativeCreated / 1000
        return terminal(super().format(record))
