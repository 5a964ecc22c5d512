"""The contract's sample as a shop's database, on a server of tests/components/datasets/servers.py."""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import sqlalchemy as sa

from components.contract.schema import TABLES
from components.settings.sections import SourceConfig
from tests.components.contract import samples
from tests.components.datasets.servers import Server

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 11  # of the sample


def first_days() -> samples.Tables:
    whole = samples.sample(impressions=400, events=120)
    end = FIRST + timedelta(days=DAYS)
    logs = {name: whole[name][whole[name]["timestamp"] < end] for name in ("impressions", "events")}
    offered = whole["candidates"]
    return {**whole, **logs, "candidates": offered[offered["impression_id"].isin(logs["impressions"]["impression_id"])]}


SAMPLE = first_days()


@dataclass(frozen=True)
class Shop:
    """A server, the settings to pull from it, and its tables under way."""

    server: Server
    config: SourceConfig
    tables: dict

    def insert(self, name: str, rows: pd.DataFrame) -> None:
        if self.server.kind == "mysql":  # its times bear no zone; the session's is UTC
            zoned = rows.select_dtypes("datetimetz").columns
            rows = rows.assign(**{column: rows[column].dt.tz_localize(None) for column in zoned})
        records = rows.astype(object).where(rows.notna(), None).to_dict("records")
        with self.begin() as connection:
            connection.execute(self.tables[name].insert(), records)

    def execute(self, *statements: str) -> None:
        with self.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    @contextmanager
    def begin(self):
        with sa.create_engine(self.server.owner_url(), poolclass=sa.NullPool).begin() as connection:
            utc = "SET time_zone = '+00:00'" if self.server.kind == "mysql" else "SET TIME ZONE 'UTC'"
            connection.execute(sa.text(utc))
            yield connection


def declared(kind: str) -> dict:
    """The contract's tables in SQL: money as NUMERIC, flags as the server has them, zoned times."""
    from sqlalchemy.dialects.mysql import LONGBLOB, TIMESTAMP

    mysql = kind == "mysql"
    types = {
        "text": lambda: sa.String(120),
        "timestamp": lambda: TIMESTAMP(fsp=6) if mysql else sa.TIMESTAMP(timezone=True),
        "number": lambda: sa.Numeric(20, 12) if mysql else sa.Double(),
        "whole": sa.Integer,
        "flag": sa.Boolean,
        "bytes": lambda: LONGBLOB() if mysql else sa.LargeBinary(),
    }
    metadata, made = sa.MetaData(), {}
    for name, table in TABLES.items():
        columns = [
            sa.Column(each.name, types[each.kind](), primary_key=each.name in table.key, autoincrement=False)
            for each in table.columns
        ]
        known = {each.name for each in table.columns}
        for extra in SAMPLE[name].columns.difference(known) if name in SAMPLE else ():
            text = pd.api.types.is_string_dtype(SAMPLE[name][extra])
            number = sa.Double() if extra.startswith("feature_") else sa.Integer()
            columns.append(sa.Column(extra, sa.String(40) if text else number))
        made[name] = sa.Table(name, metadata, *columns)
    return made
