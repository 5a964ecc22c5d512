"""The kinds of sources that `adloom data pull` reads, by the scheme of `source.url`; a line adds one."""

import re

from components.datasets import daily_drop, database
from components.datasets.source_protocol import Source
from components.settings.environment import expand
from components.settings.errors import UserError
from components.settings.sections import SourceConfig

_SQL = Source(database.place_of, database.snapshot)
SOURCES: dict[str, Source] = {
    "mysql": _SQL,
    "mariadb": _SQL,
    "postgresql": _SQL,
    "sqlite": _SQL,
    "file": Source(daily_drop.place, daily_drop.snapshot),
}
SCHEME = re.compile(r"([a-zA-Z][\w.-]*)(?:\+\w+)?:")
PATH = re.compile(r"(?:/|\.{1,2}/|~|\.$)")


def source_of(config: SourceConfig) -> Source:
    """The kind of source that `source.url` names: by its scheme, or a folder by its path."""
    text = expand(config.url) if database.VARIABLE.fullmatch(config.url) else config.url
    if PATH.match(text):
        return SOURCES["file"]
    scheme = SCHEME.match(text)
    if scheme is None:
        raise UserError(
            "source.url is no database's URL, such as postgresql://${NAME}:${PASSWORD}@host/shop, and no folder's "
            "path, such as /srv/drop or ./drop"
        )
    if scheme[1] not in SOURCES:
        raise UserError(f"source.url: {scheme[1]} is not known here; known are {', '.join(SOURCES)}")
    return SOURCES[scheme[1]]
