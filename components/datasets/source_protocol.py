"""What `adloom data pull` asks of a source of rows, whatever it is: a database, a folder of files, a stream."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from components.settings.sections import SourceConfig


class SourceFailed(Exception):
    """The source gave no answer, or an error for one; the message holds no credentials.

    `passing`: it may do what was asked another time, such as after a restart. What it refuses it will refuse again.
    """

    def __init__(self, message: str, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class Snapshot(Protocol):
    """A source as it was when it was opened. Rows come in batches, in the contract's types, all declared columns and
    the open ones that there are; times are in UTC and spans of time include their begin alone."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The contract's tables that it has, in the contract's order."""
        ...

    def begins(self) -> datetime | None:
        """The time of the first impression; None without impressions."""
        ...

    def known_until(self) -> datetime | None:
        """Until when its logs are whole: later rows may still be under way. None without impressions."""
        ...

    def untimed(self, name: str) -> int:
        """Rows of a log that have no time and so belong to no day."""
        ...

    def between(self, name: str, begin: datetime, end: datetime) -> Iterator[pa.Table]:
        """Rows of a log in the order of time and key; of `candidates` those of the impressions of that time."""
        ...

    def ids(self, name: str) -> list[str]:
        """The keys of all rows of a table, in their order."""
        ...

    def ids_between(self, name: str, begin: datetime, end: datetime) -> list[str]:
        """The keys of a log's rows of a time, in the order of time."""
        ...

    def with_ids(self, name: str, column: str, ids: Sequence[str]) -> Iterator[pa.Table]:
        """The rows that hold one of the ids in `column`, in batches of some ids each."""
        ...

    def whole(self, name: str) -> Iterator[pa.Table]:
        """All rows of a table, in the order of its key."""
        ...


@dataclass(frozen=True)
class Source:
    """A kind of source. place: settings -> what a data set's card calls it, without user, password and options;
    snapshot: settings -> the source opened, SourceFailed for what fails in it; UserError for wrong settings in both."""

    place: Callable[[SourceConfig], str]
    snapshot: Callable[[SourceConfig], AbstractContextManager[Snapshot]]
