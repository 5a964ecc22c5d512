"""Topics as a source: each message is read once, what is no row is set aside, and a broken pull continues."""

from datetime import timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest
from upath import UPath

from benchmarks.mock_kafka import send
from components.contract.files.digests import digest_tree
from components.contract.validation.validate import load_dataset
from components.datasets import pull
from components.datasets.kafka import topic_landing
from components.datasets.kafka.kafka_source import place
from components.datasets.kafka.topic_landing import position
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import SourceConfig
from tests.components.datasets.shop import FIRST, SAMPLE
from tests.components.datasets.topics import create_topics, row_json, send_rows

LOGS = ("impressions", "events", "candidates")


def until(day: int, after: int = 0) -> dict[str, pd.DataFrame]:
    """The sample's rows of the days [after, day); tables without times whole."""
    begin, end = (FIRST + timedelta(days=number) for number in (after, day))
    logs = {}
    for name in ("impressions", "events"):
        at = SAMPLE[name]["timestamp"]
        logs[name] = SAMPLE[name][(at >= begin) & (at < end)]
    offered = SAMPLE["candidates"]
    logs["candidates"] = offered[offered["impression_id"].isin(logs["impressions"]["impression_id"])]
    return {**SAMPLE, **logs}


class Topics:
    """Topics of a test's own, and where they are pulled to."""

    def __init__(self, broker, folder, monkeypatch):
        self.broker, self.folder, self.prefix = broker, folder, folder.name
        self.state = folder / "state"
        monkeypatch.setenv("ADLOOM_STATE", str(self.state))
        create_topics(broker, self.prefix)
        self.config = SourceConfig(url=f"kafka://{broker.servers}/{self.prefix}", batch_rows=90)

    def send(self, tables) -> None:
        send_rows(self.broker.servers, self.prefix, tables)

    def pull(self, name: str = "bakery", **changes):
        return pull(name, self.config.model_copy(update=changes), UPath(self.folder / "data"))

    def landed(self, table: str) -> list:
        return sorted(self.state.glob(f"topics/*/{table}/*.parquet"))


@pytest.fixture
def topics(broker, tmp_path, monkeypatch):
    return Topics(broker, tmp_path, monkeypatch)


def test_a_second_pull_reads_only_what_is_new(topics):
    topics.send(until(3))
    first = topics.pull()
    before = {path: path.read_bytes() for table in SAMPLE for path in topics.landed(table)}
    days = digest_tree(UPath(topics.folder / "data" / "bakery" / "impressions"))
    assert first.days == 2 and topics.pull().days == 0
    topics.send({name: rows for name, rows in until(5, after=3).items() if name in LOGS})
    second = topics.pull()
    assert second.days == 2
    assert {path: path.read_bytes() for path in before} == before
    count = sum(pq.read_metadata(path).num_rows for path in topics.landed("impressions"))
    assert count == len(until(5)["impressions"])
    after = digest_tree(UPath(topics.folder / "data" / "bakery" / "impressions"))
    assert {name: after[name] for name in days} == days


def test_offsets_are_committed_after_the_files_and_a_pull_that_was_cut_reads_nothing_twice(topics, monkeypatch):
    from confluent_kafka import Consumer, TopicPartition

    topics.send(until(2))
    written, write = [], topic_landing.write_table

    def cut(table, path):
        write(table, path)
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(topic_landing, "write_table", cut)
    with pytest.raises(KeyboardInterrupt):
        topics.pull()
    kept = {str(path): path.read_bytes() for path in written}
    monkeypatch.setattr(topic_landing, "write_table", write)
    topics.pull()
    assert {str(path): path.read_bytes() for path in written} == kept
    group = Consumer({"bootstrap.servers": topics.broker.servers, "group.id": "adloom-pull"})
    for name in LOGS:
        landed = topics.landed(name)[0].parent.parent
        assert sum(pq.read_metadata(path).num_rows for path in topics.landed(name)) == len(until(2)[name])
        for part in (0, 1):
            offset = group.committed([TopicPartition(f"{topics.prefix}.{name}", part)], timeout=10)[0].offset
            assert offset == position(landed, name, part) > 0
    group.close()


def test_what_is_no_row_is_set_aside_with_its_place_and_reason(topics, caplog):
    good = row_json(SAMPLE["impressions"].iloc[0].to_dict())
    bad = [
        b"no JSON", None, b"{}", good.replace(b'"position": ', b'"position": "x", "y": '),
        good.replace(b"+00:00", b""), good[:-1] + b', "context_x": [1]}',
    ]  # fmt: skip
    send(topics.broker.servers, f"{topics.prefix}.impressions", bad, partition=1)
    topics.send(until(2))
    assert topics.pull().impressions > 0
    found = pd.concat([pd.read_parquet(path) for path in topics.state.glob("topics/*/malformed/impressions/*.parquet")])
    assert found["offset"].tolist() == list(range(6)) and found["partition"].tolist() == [1] * 6
    words = ["Invalid JSON", "Invalid JSON", "Field required", "valid integer", "timezone", "context_x: holds list"]
    assert [word in reason for word, reason in zip(words, found["reason"], strict=True)] == [True] * 6
    assert found["value"].tolist() == [*bad[:1], None, *bad[2:]]
    assert f"6 messages are no rows of impressions, such as {topics.prefix}.impressions/1/0" in caplog.text


def test_times_without_a_zone_can_be_utc_and_a_changed_row_replaces_the_first(topics):
    rows = until(2)
    rows["campaigns"] = rows["campaigns"].assign(brand_color="#123456")
    topics.send({"campaigns": SAMPLE["campaigns"]})
    topics.send({name: table for name, table in rows.items() if name != "events"})
    naive = [row_json(row).replace(b"+00:00", b"") for row in rows["events"].to_dict("records")]
    send(topics.broker.servers, f"{topics.prefix}.events", naive)
    topics.pull(naive_times="utc")
    tables, _ = load_dataset(UPath(topics.folder / "data" / "bakery"))
    assert set(tables["campaigns"]["brand_color"]) == {"#123456"} and len(tables["events"]) > 0


def test_a_broker_that_is_away_changes_nothing_and_is_said(topics, monkeypatch):
    monkeypatch.setattr(topic_landing, "ANSWER_SECONDS", 0.5)
    topics.send(until(2))
    topics.broker.take_away()
    try:
        with pytest.raises(
            UserError, match=r"the source failed .*\(Kafka: .*nothing has changed. Pull again to continue"
        ):
            topics.pull()
    finally:
        topics.broker.bring_back()
    monkeypatch.setattr(topic_landing, "ANSWER_SECONDS", 30.0)
    assert not (topics.folder / "data" / "bakery").exists()
    assert topics.pull().days > 0


def test_wrong_addresses_and_missing_topics_are_named(topics, tmp_path):
    with pytest.raises(UserError, match=r"impressions|campaigns"):
        topics.pull(url=f"kafka://{topics.broker.servers}/nothing-here")
    for wrong in ("kafka://host:9092", "kafka:///prefix", "kafka://user@host/prefix"):
        with pytest.raises(UserError, match="write kafka://HOST:PORT/PREFIX"):
            topics.pull(url=wrong)
    with pytest.raises(UserError, match="No such configuration property"):
        topics.pull(url=f"{topics.config.url}?sasl.pasword=x")
    (tmp_path / "params.yaml").write_text("source: kafka://host/shop?sasl.password=hunter2\n")
    with pytest.raises(UserError, match="holds a password") as told:
        load_settings(tmp_path / "params.yaml", "bakery")
    assert "hunter2" not in str(told.value)


def test_credentials_come_from_the_environment_and_stay_out_of_the_place(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", "hun&ter=2")
    config = SourceConfig(url="kafka://a:1,b:2/shop?sasl.password=${KAFKA_PASSWORD}&group=g")
    assert place(config) == "kafka://a:1,b:2/shop"
    from components.datasets.kafka.kafka_source import _address

    assert _address(config).options == {"sasl.password": "hun&ter=2", "group": "g"}
