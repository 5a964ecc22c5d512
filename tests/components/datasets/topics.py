"""The contract's sample as topics of a broker: one message per row, keyed by the row's id."""

import base64
import json
from collections.abc import Mapping

import pandas as pd
from confluent_kafka import Producer

from components.contract.schema import TABLES
from tests.components.datasets.shop import SAMPLE


def row_json(row: Mapping) -> bytes:
    """A row as a message: nulls left out, times in ISO 8601, images in base64."""
    values = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            values[name] = base64.b64encode(value).decode()
        elif isinstance(value, pd.Timestamp):
            values[name] = value.isoformat()
        elif value is not None and not pd.isna(value):
            values[name] = value.item() if hasattr(value, "item") else value
    return json.dumps(values).encode()


def send_rows(servers: str, prefix: str, tables: Mapping[str, pd.DataFrame] = SAMPLE) -> None:
    """Send the rows of `tables` to the topics `prefix`.TABLE."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 2, "linger.ms": 1})
    for name, rows in tables.items():
        key = TABLES[name].key[0]
        for row in rows.to_dict("records"):
            producer.produce(f"{prefix}.{name}", row_json(row), str(row[key]).encode())
    assert producer.flush(60) == 0


def create_topics(broker, prefix: str, tables=SAMPLE) -> None:
    """Create a topic for each of `tables`."""
    for name in tables:
        broker.create(f"{prefix}.{name}")
