"""Clients of Kafka: the optional library confluent-kafka, and their properties from the settings."""

import logging
from collections.abc import Mapping
from typing import Any

from components.settings.environment import expand
from components.settings.errors import UserError

log = logging.getLogger("adloom.kafka")

# librdkafka's own messages are warnings about connections; what they mean is said once, in our words
QUIET = {"log.connection.close": False, "log_level": 2, "reconnect.backoff.ms": 200, "reconnect.backoff.max.ms": 5000}


def kafka_library() -> Any:
    """The module `confluent_kafka`. UserError if it is not installed."""
    try:
        import confluent_kafka
    except ModuleNotFoundError:
        raise UserError("Kafka needs the package confluent-kafka: install the extra `kafka`") from None
    return confluent_kafka


def client_properties(bootstrap_servers: str, client: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Properties of a client: `client` with ${NAME} from the environment, then `ours`. UserError: NAME is not set."""
    given = {name: expand(value) if isinstance(value, str) else value for name, value in client.items()}
    return {**QUIET, **given, "bootstrap.servers": expand(bootstrap_servers), **ours}


def make_client(kind: str, properties: Mapping[str, Any]) -> Any:
    """A `Consumer` or `Producer` (`kind`). UserError names a property that is unknown or wrong."""
    kafka = kafka_library()
    try:
        return getattr(kafka, kind)(dict(properties), logger=log)
    except (kafka.KafkaException, ValueError, TypeError) as error:
        text = error.args[0].str() if isinstance(error, kafka.KafkaException) else str(error)
        raise UserError(f"Kafka client: {text}") from None
