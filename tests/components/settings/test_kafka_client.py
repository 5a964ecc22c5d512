"""Clients of Kafka: credentials from the environment, and one sentence for what is missing or wrong."""

import sys

import pytest

from components.settings.errors import UserError
from components.settings.kafka_client import client_properties, kafka_library, make_client


def test_properties_come_from_settings_and_environment_and_ours_win(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    given = {"sasl.password": "${KAFKA_PASSWORD}", "log_level": 3}
    made = client_properties("one:9092,two:9092", given, {"group.id": "g"})
    assert made.items() >= {
        "sasl.password": "hunter2", "log_level": 3, "group.id": "g", "bootstrap.servers": "one:9092,two:9092"
    }.items()  # fmt: skip
    with pytest.raises(UserError, match="the environment variable NOWHERE is not set"):
        client_properties("${NOWHERE}", {}, {})


@pytest.mark.parametrize("wrong", [{"sasl.pasword": "x"}, {"security.protocol": "hope"}])
def test_an_unknown_property_or_value_is_named(wrong):
    with pytest.raises(UserError, match=rf"^Kafka client: .*{next(iter(wrong))}"):
        make_client("Producer", client_properties("x:9092", wrong, {}))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(UserError, match="install the extra `kafka`"):
        kafka_library()
