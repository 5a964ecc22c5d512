"""What was served, published in its order, at least once."""

from benchmarks.mock_kafka import messages
from components.serving.journal import TrackedRow
from components.serving.streams.stream_messages import iso
from tests.components.serving.streams.conftest import until
from tests.components.serving.test_journal import decision

NOW = 1_780_000_000_000_000


def test_decisions_and_what_is_reported_of_them_are_published_in_their_order(scene):
    with scene.reading() as (journal, _):
        journal.submit([decision("i1", NOW)]).result(10)
        event = TrackedRow("event", "e1", NOW, NOW, {"shopper_id": "s1", "kind": "view"})
        click = TrackedRow("click", "i1", NOW + 2, NOW + 2, {})
        bought = TrackedRow("conversion", "i1", NOW + 3, NOW + 3, {"revenue": 2.5})
        journal.submit([event, click, click, bought]).result(10)
        sent = messages(scene.broker.servers, scene.served, 3)
        until(lambda: journal.unpublished() == 0)
    assert [(key, body["type"]) for key, body in sent] == [("i1", "decision"), ("i1", "click"), ("i1", "conversion")]
    assert sent[0][1] == {
        "type": "decision", "decision_id": "i1", "timestamp": iso(NOW), "shopper_id": "s1", "campaign": "c",
        "campaign_propensity": None, "position": 1, "creative_id": "a", "propensity": 0.1 + 0.2,
        "logging_policy": "uniform", "request_id": None, "placement": "top",
        "context_device": "电话", "candidates": {"a": 0.1 + 0.2, "b": 1 - (0.1 + 0.2)},
    }  # fmt: skip
    assert sent[2][1]["revenue"] == 2.5 and sent[2][1]["timestamp"] == "2026-05-28T20:26:40.000003+00:00"


def test_what_cannot_be_published_waits_in_the_journal_and_comes_once_the_broker_is_back(scene):
    scene.broker.take_away()
    try:
        with scene.reading() as (journal, _):
            journal.submit([decision(f"i{number}", NOW + number) for number in range(20)]).result(10)
            assert journal.unpublished() == 20
            until(lambda: "acknowledgement" in scene.streams.state()["reason"])
            assert scene.figure("adloom_stream_unpublished") == 20
        scene.broker.bring_back()
        with scene.reading() as (journal, _):
            until(lambda: journal.unpublished() == 0)
            assert scene.streams.state()["unpublished"] == 0
    finally:
        scene.broker.bring_back()
    sent = messages(scene.broker.servers, scene.served, 20)
    assert {key for key, _ in sent} == {f"i{number}" for number in range(20)}


def test_without_the_setting_only_dead_letters_leave(scene):
    with scene.reading(served=None) as (journal, status):
        journal.submit([decision("i1", NOW)]).result(10)
        scene.send(scene.ads, {"type": "click", "decision_id": "i1"}, b"{}")
        assert [body["reason"] for _, body in messages(scene.broker.servers, scene.dead, 1)]
        until(lambda: status(scene.ads, "stored") == 1 and journal.unpublished() == 0)
    assert messages(scene.broker.servers, scene.served) == []
