"""The interface of a source of rows for `adloom data pull`, such as a database or a folder of files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from components.settings.sections import SourceConfig


class SourceFailed(Exception):
    """The source did not answer, or answered with an error. The message contains no credentials.

    transient: whether the same query may succeed later, such as after a restart of the server.
    """

    def __init__(self, message: str, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class Snapshot(Protocol):
    """The state of a source when it was opened.

    Rows come in batches, in the contract's types, with all declared columns and the source's open columns. Times are in
    UTC; a span of time is [begin, end).
    """

    @property
    def tables(self) -> tuple[str, ...]:
        """The contract's tables that the source has, in the contract's order."""
        ...

    def first_time(self) -> datetime | None:
        """The time of the first impression; None without impressions."""
        ...

    def complete_until(self) -> datetime | None:
        """The time up to which its logs are complete; later rows may still arrive. None without impressions."""
        ...

    def untimed(self, name: str) -> int:
        """Number of rows of a log without a time, which belong to no day."""
        ...

    def between(self, name: str, begin: datetime, end: datetime) -> Iterator[pa.Table]:
        """The rows of a log in [begin, end), by time and key; for `candidates`, those of that span's impressions."""
        ...

    def ids(self, name: str) -> list[str]:
        """The keys of all rows of a table, sorted."""
        ...

    def ids_between(self, name: str, begin: datetime, end: datetime) -> list[str]:
        """The keys of a log's rows in [begin, end), in order of time."""
        ...

    def with_ids(self, name: str, column: str, ids: Sequence[str]) -> Iterator[pa.Table]:
        """The rows with one of `ids` in `column`, some ids per batch."""
        ...

    def whole(self, name: str) -> Iterator[pa.Table]:
        """All rows of a table, in the order of its key."""
        ...


@dataclass(frozen=True)
class Source:
    """A kind of source. Both functions raise UserError for wrong settings.

    place: settings -> the source's name in a data set's card, without user, password and options.
    snapshot: settings -> the opened source; SourceFailed for errors in it.
    """

    place: Callable[[SourceConfig], str]
    snapshot: Callable[[SourceConfig], AbstractContextManager[Snapshot]]
