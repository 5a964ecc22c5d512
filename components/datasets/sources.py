"""The kinds of sources that `adloom data pull` reads, by the scheme of `source.url`; one line adds a kind."""

import re

from components.datasets import daily_drop, database
from components.datasets.kafka import kafka_source
from components.datasets.source_protocol import Source
from components.settings.environment import expand
from components.settings.errors import UserError
from components.settings.sections import SourceConfig

_SQL = Source(database.database_place, database.snapshot)
SOURCES: dict[str, Source] = {
    "mysql": _SQL,
    "mariadb": _SQL,
    "postgresql": _SQL,
    "sqlite": _SQL,
    "file": Source(daily_drop.place, daily_drop.snapshot),
    "kafka": Source(kafka_source.place, kafka_source.snapshot),
}
SCHEME = re.compile(r"([a-zA-Z][\w.-]*)(?:\+\w+)?:")
PATH = re.compile(r"(?:/|\.{1,2}/|~|\.$)")


def source_of(config: SourceConfig) -> Source:
    """The kind of source for `source.url`: by the scheme of a URL; a path is a folder."""
    text = expand(config.url) if database.VARIABLE.fullmatch(config.url) else config.url
    if PATH.match(text):
        return SOURCES["file"]
    scheme = SCHEME.match(text)
    if scheme is None:
        raise UserError(
            "source.url is neither a database's URL, such as postgresql://${NAME}:${PASSWORD}@host/shop, nor a "
            "folder's path, such as /srv/drop or ./drop"
        )
    if scheme[1] not in SOURCES:
        raise UserError(f"source.url: {scheme[1]} is not known here; known are {', '.join(SOURCES)}")
    return SOURCES[scheme[1]]
