"""What clients report: once each, checked against the decisions; and addresses that nobody can forge."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.serving.journal import FILE, Journal, connect
from tests.components.serving.http_api.test_http_app import client_of

LANDING = "https://shop.example.org/p?id=1&x=ä"


@pytest.fixture
def client(registry, little_shop, tmp_path):
    with client_of(little_shop, tmp_path) as client:
        yield client


def chosen(client, **fields) -> dict:
    answer = client.post("/decide", json={"shopper_id": "s1", "campaign": "c", "landing": LANDING, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def track(client, *events: dict) -> list[tuple[str, str]]:
    answer = client.post("/track", json={"events": list(events)})
    assert answer.status_code == 200, answer.text
    return [(result["status"], result["detail"]) for result in answer.json()["results"]]


def rows(tmp_path) -> list[tuple[str, str, str]]:
    with closing(connect(tmp_path / "serving" / FILE)) as connection:
        return connection.execute("SELECT kind, id, body FROM tracked ORDER BY kind, id").fetchall()


def faults(tmp_path) -> list[str]:
    with closing(connect(tmp_path / "serving" / FILE)) as connection:
        return [why for (why,) in connection.execute("SELECT why FROM faults")]


def test_each_kind_is_stored_once(client, tmp_path):
    name = chosen(client)["decision_id"]
    events = [
        {"type": "behaviour", "event_id": "e1", "shopper_id": "s1", "kind": "search", "text": "红色 shoes"},
        {"type": "impression", "decision_id": name},
        {"type": "click", "decision_id": name},
        {"type": "conversion", "decision_id": name, "revenue": 12.5},
        {"type": "feedback", "decision_id": name, "feedback": "like"},
    ]
    assert track(client, *events) == [("stored", "")] * 5
    assert track(client, *events) == [("duplicate", "")] * 5
    assert len(rows(tmp_path)) == 5
    (again,) = track(client, {**events[3], "revenue": 99.0})
    assert again[0] == "conflict" and '{"revenue":12.5}' in [body for _, _, body in rows(tmp_path)]


def test_another_ad_than_the_chosen_one_is_an_error_row_and_no_impression(client, tmp_path):
    answer = chosen(client)
    other = "b" if answer["creative_id"] == "a" else "a"
    shown = {"type": "impression", "decision_id": answer["decision_id"], "creative_id": other}
    ((status, detail),) = track(client, shown)
    assert status == "mismatch" and f"creative {other} was shown" in detail
    assert rows(tmp_path) == [] and faults(tmp_path) == [detail]
    assert track(client, {**shown, "creative_id": answer["creative_id"]}) == [("stored", "")]


def test_unknown_decisions_and_clocks_that_are_wrong_are_told(client):
    name, now = chosen(client)["decision_id"], datetime.now(UTC)
    behaviour = {"type": "behaviour", "event_id": "e1", "shopper_id": "s1", "kind": "view"}
    results = track(
        client,
        {"type": "click", "decision_id": "0" * 32},
        {**behaviour, "timestamp": (now + timedelta(hours=1)).isoformat()},
        {**behaviour, "timestamp": (now - timedelta(hours=1)).isoformat()},
        {"type": "click", "decision_id": name, "timestamp": (now - timedelta(hours=1)).isoformat()},
        {"type": "click", "decision_id": name, "timestamp": (now + timedelta(seconds=30)).isoformat()},
    )
    assert results[0] == ("unknown", f"no decision {'0' * 32} is known")
    assert results[1][0] == "refused" and "seconds ahead of the server's clock" in results[1][1]
    assert results[2] == ("stored", ""), "behaviour may come late"
    assert results[3] == ("refused", "its time is before the decision")
    assert results[4] == ("stored", ""), "a clock may be a minute ahead"


def test_a_wrong_event_is_named_and_nothing_of_its_message_is_stored(client, tmp_path):
    good = {"type": "behaviour", "event_id": "e1", "shopper_id": "s1", "kind": "view"}
    for wrong in ({**good, "kind": "stare"}, {**good, "timestamp": "2026-01-01T00:00:00"}, {"type": "sale"}, {}):
        answer = client.post("/track", json={"events": [good, wrong]})
        assert answer.status_code == 422 and "events.1" in answer.text
    assert client.post("/track", json={"events": []}).status_code == 422
    assert client.post("/track", json={"events": [good] * 201}).status_code == 422
    assert rows(tmp_path) == []


def test_the_pixel_and_the_redirect_count_once_and_lead_where_they_were_signed_to(client, tmp_path):
    answer = chosen(client)
    pixel = client.get(answer["pixel"], headers={"Host": "shop.example.org", "Sec-Fetch-Site": "cross-site"})
    assert pixel.status_code == 200 and pixel.content.startswith(b"GIF89a")
    for _ in range(3):
        led = client.get(answer["click"], follow_redirects=False)
        assert led.status_code == 302 and led.headers["location"] == LANDING.replace("ä", "%C3%A4")
    assert [kind for kind, _, _ in rows(tmp_path)] == ["click", "impression"]


def changed(address: str, **fields) -> str:
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return f"{fields.pop('path', parts.path)}?{urlencode({**query, **fields})}"


def test_forged_addresses_lead_nowhere(client, tmp_path):
    first, second = chosen(client), chosen(client)
    forged = [
        changed(first["click"], to="https://evil.example.org/"),
        changed(first["click"], until=99999999999),
        changed(first["click"], signature="0" * 64),
        changed(first["click"], signature="é"),
        changed(first["click"], path=f"/click/{second['decision_id']}"),
        changed(first["click"], path=f"/pixel/{first['decision_id']}.gif"),
        changed(first["pixel"], path=f"/click/{first['decision_id']}", to=""),
        changed(first["pixel"], path=f"/pixel/{second['decision_id']}.gif"),
    ]
    for address in forged:
        answer = client.get(address, follow_redirects=False)
        assert answer.status_code == 403, address
    assert client.get(f"/click/{first['decision_id']}").status_code == 422
    assert rows(tmp_path) == []


def test_an_address_that_is_too_old_leads_on_and_counts_nothing(client, tmp_path, monkeypatch):
    answer = chosen(client)
    later = 8 * 86_400 * 1_000_000

    def late():
        return int(datetime.now(UTC).timestamp() * 1_000_000) + later

    monkeypatch.setattr("components.serving.http_api.http_app.now_microseconds", late)
    assert client.get(answer["click"], follow_redirects=False).status_code == 302
    assert client.get(answer["pixel"]).status_code == 200
    assert rows(tmp_path) == []


@pytest.mark.parametrize("landing", ["javascript:alert(1)", "//evil.example.org", "file:///etc/passwd", "shop"])
def test_a_click_leads_to_web_pages_alone(client, landing):
    assert client.post("/decide", json={"campaign": "c", "landing": landing}).status_code == 422


def test_a_full_disk_gives_no_answer_that_is_not_logged(client, tmp_path, monkeypatch):
    def full(self, connection, row):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "_store", full)
    event = {"type": "behaviour", "event_id": "e1", "shopper_id": "s1", "kind": "view"}
    for path, body in (("/decide", {"campaign": "c"}), ("/track", {"events": [event]})):
        answer = client.post(path, json=body)
        assert answer.status_code == 503 and "disk is full" in answer.json()["detail"]
    monkeypatch.undo()
    name = chosen(client)["decision_id"]
    assert track(client, event, {"type": "click", "decision_id": name}) == [("stored", "")] * 2


def test_the_answer_is_in_the_log_with_all_its_candidates(client, tmp_path):
    answer = chosen(client, context={"device": "phone", "local_hour": 7}, position=3, request_id="page1")
    with closing(connect(tmp_path / "serving" / FILE)) as connection:
        row = connection.execute("SELECT * FROM decisions").fetchone()
    assert row[0] == answer["decision_id"] and row[6] == answer["propensity"] == 0.5
    context, candidates = '{"context_device":"phone","context_local_hour":7.0}', '{"a":0.5,"b":0.5}'
    assert row[8:] == ("page1", None, context, candidates, 1.0) and answer["campaign_propensity"] == 1.0


texts = st.text(max_size=8) | st.sampled_from(["i1", "s1", "view", "like", "click", "2026-01-01T00:00:00Z"])
values = texts | st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats()
names = st.sampled_from(
    ["type", "event_id", "decision_id", "creative_id", "shopper_id", "kind", "product_id", "text", "value", "timestamp"]
)
kinds = st.sampled_from(["behaviour", "impression", "click", "conversion", "feedback"])
reports = st.dictionaries(names, values, max_size=8).flatmap(lambda fields: kinds.map(lambda k: {**fields, "type": k}))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(reports, max_size=3) | values, st.dictionaries(st.sampled_from(["to", "until", "signature"]), texts))
def test_no_report_and_no_address_makes_the_server_fail(client, events, query):
    content = json.dumps({"events": events})
    assert client.post("/track", content=content, headers={"content-type": "application/json"}).status_code < 500
    for path in ("/click/x", "/pixel/x.gif", "/click/%00", "/ads/%ff"):
        assert client.get(path, params=query, follow_redirects=False).status_code in (403, 404, 422)
