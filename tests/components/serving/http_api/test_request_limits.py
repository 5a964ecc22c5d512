"""Limits on rate and time: who is answered when, what a late or abandoned request leaves, and what is counted."""

import asyncio
import socket
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Counter
from upath import UPath

from components.serving.http_api import request_limits
from components.serving.http_api.http_app import make_app
from components.serving.http_api.request_limits import BURST_SECONDS, ClientRates, RequestLimits, _client
from components.serving.journal import FILE
from components.serving.service import Service
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from components.settings.sections import ServingConfig

HOST = "127.0.0.1:8700"
ONE = {"shopper_id": "s1", "campaign": "c"}


@contextmanager
def serving(little_shop, folder, **limits):
    """A service without a champion, and its application."""
    config = ServingConfig(refresh_seconds=3600.0, **limits)
    service = Service(little_shop, config, UPath(folder) / "data" / "shop", folder / "serving")
    yield service, make_app(service, [HOST])


@contextmanager
def client_of(little_shop, folder, **limits):
    with (
        serving(little_shop, folder, **limits) as (_, app),
        TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as client,
    ):
        yield client


def decisions(folder) -> list[tuple]:
    with closing(sqlite3.connect(folder / "serving" / FILE)) as connection:
        return connection.execute("SELECT decision_id, request_id FROM decisions").fetchall()


@contextmanager
def busy_disk(folder):
    """The journal's database as it is while another program writes to it: the next write waits."""
    with closing(sqlite3.connect(folder / "serving" / FILE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@given(
    st.floats(0.2, 50.0), st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.0, 1.5)), max_size=60)
)  # clients and the seconds since the request before
def test_each_client_has_a_bucket_of_tokens(rate, requests):
    """The twin counts tokens: a full bucket at first, refilled at the rate."""
    rates, now, tokens, seen = ClientRates(rate), 1000.0, {}, {}
    most = max(BURST_SECONDS * rate, 1.0)
    for client, pause in requests:
        now += pause
        tokens[client] = min(most, tokens.get(client, most) + rate * (now - seen.get(client, now)))
        seen[client] = now
        wait = rates.wait(client, now)
        if tokens[client] >= 1 + 1e-6:
            assert wait == 0.0
        elif tokens[client] < 1 - 1e-6:
            assert wait == pytest.approx((1 - tokens[client]) / rate, rel=1e-5, abs=1e-6)
        if wait == 0.0:
            tokens[client] -= 1


def test_memory_is_bounded_however_many_clients_there_are(monkeypatch):
    monkeypatch.setattr(request_limits, "MAX_CLIENTS", 100)
    rates = ClientRates(1.0)
    assert [rates.wait("the same", 0.0) for _ in range(3)] == pytest.approx([0.0, 0.0, 1.0])
    for number in range(1000):
        assert rates.wait(f"10.0.0.{number}", 0.0) == 0.0
    assert len(rates) == 100 and rates.wait("10.0.0.999", 0.0) == 0.0 and rates.wait("10.0.0.999", 0.0) > 0


@pytest.mark.parametrize(("one", "other", "same"), [
    ("10.0.0.1", "10.0.0.1", True), ("10.0.0.1", "10.0.0.2", False),
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False), ("::ffff:10.0.0.1", "10.0.0.1", True),
    ("fe80::1%eth0", "fe80::2%eth0", True), ("no:address", "no:address", True),
])  # fmt: skip
def test_a_client_is_an_address_or_a_network_of_ipv6(one, other, same):
    assert (_client({"client": (one, 1)}) == _client({"client": (other, 2)})) == same
    assert _client({"client": None}) == _client({}) == ""


def test_a_client_that_asks_too_often_is_told_when_to_come_back(registry, little_shop, tmp_path):
    with client_of(little_shop, tmp_path, requests_per_second=2.0) as client:
        statuses = [client.post("/decide", json=ONE).status_code for _ in range(8)]
        assert statuses == [200] * 4 + [429] * 4, "two seconds' worth at once"
        refused = client.post("/decide", json=ONE)
        assert refused.headers["retry-after"] == "1" and refused.headers["content-type"] == "application/json"
        assert refused.json()["detail"] == (
            "this client has sent more than 2 requests a second (serving.requests_per_second)"
        )
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        time.sleep(1.1)
        page = client.get("/metrics").text
        assert 'adloom_limited_total{limit="rate"} 5.0' in page
        time.sleep(0.6)
        assert client.post("/decide", json=ONE).status_code == 200
    assert len(decisions(tmp_path)) == 5


def test_there_is_a_limit_by_default_and_none_if_it_is_switched_off(registry, little_shop, tmp_path):
    assert ServingConfig().requests_per_second == 300.0 and ServingConfig().request_seconds == 5.0
    with client_of(little_shop, tmp_path, requests_per_second=None) as client:
        assert {client.get("/ads/none.png").status_code for _ in range(700)} == {404}


@pytest.mark.parametrize("given", ["requests_per_second=0", "request_seconds=0", "requests_per_second=-3"])
def test_a_limit_that_answers_nothing_is_refused_by_name(given):
    with pytest.raises(UserError, match=rf"serving\.{given.split('=')[0]}"):
        load_settings(str(ROOT / "params.yaml"), "shop", (f"serving.{given}",))


def test_a_request_that_waits_too_long_is_answered_and_leaves_nothing(registry, little_shop, tmp_path):
    """The first waits within its transaction and is stored when the disk is free; the second was not begun."""
    with client_of(little_shop, tmp_path, request_seconds=0.4) as client:
        assert client.post("/decide", json={**ONE, "request_id": "before"}).status_code == 200
        with busy_disk(tmp_path):
            for name in ("writing", "waiting"):
                begun = time.monotonic()
                late = client.post("/decide", json={"requests": [{**ONE, "request_id": name}] * 50})
                assert late.status_code == 503 and 0.3 < time.monotonic() - begun < 3.0
                assert late.headers["retry-after"] == "1"
                assert late.json()["detail"] == (
                    "the request could not be answered within 0.4 seconds (serving.request_seconds); send it again"
                )
        assert client.post("/decide", json={**ONE, "request_id": "after"}).status_code == 200
        assert 'adloom_limited_total{limit="time"} 2.0' in client.get("/metrics").text
    stored = [name for _, name in decisions(tmp_path)]
    assert sorted(stored) == sorted(["before", *["writing"] * 50, "after"])


def test_an_event_that_came_too_late_counts_once_when_it_is_sent_again(registry, little_shop, tmp_path):
    event = {"type": "behaviour", "event_id": "e1", "shopper_id": "s1", "kind": "view"}
    with client_of(little_shop, tmp_path, request_seconds=0.3) as client:
        with busy_disk(tmp_path):
            assert client.post("/track", json={"events": [event]}).status_code == 503
        answer = client.post("/track", json={"events": [event]}).json()["results"][0]["status"]
        assert answer in ("stored", "duplicate")
        assert client.post("/track", json={"events": [event]}).json()["results"][0]["status"] == "duplicate"


def test_ads_of_late_requests_do_not_count_against_a_cap(registry, little_shop, tmp_path):
    with serving(little_shop, tmp_path, request_seconds=0.3) as (service, app):
        terms = service.shop.terms["c"]
        service.delivery.use({"c": replace(terms, frequency_cap=1)})
        with TestClient(app, base_url=f"http://{HOST}") as client:
            with busy_disk(tmp_path):
                assert client.post("/decide", json=ONE).status_code == 503
            assert client.post("/decide", json=ONE).status_code == 200
            assert client.post("/decide", json=ONE).status_code == 409


async def _asked(app, messages) -> list[dict]:
    """What the application sends for a request whose client sends `messages` and then nothing more."""
    sent, queue = [], list(messages)

    async def receive():
        if queue:
            return queue.pop(0)
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [(b"host", HOST.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/decide", "raw_path": b"/decide", "query_string": b"",
             "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8700), "scheme": "http",
             "http_version": "1.1", "root_path": ""}  # fmt: skip
    await app(scope, receive, send)
    return sent


def test_a_server_that_cannot_keep_up_refuses_what_has_waited_too_long():
    """30 requests come at once and each takes the server 30 ms: those that would wait longer than 0.3 s are refused."""
    answered = []

    async def slow(scope, receive, send):
        time.sleep(0.03)
        answered.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    limited = Counter("limited", "", ["limit"], registry=None)
    app = RequestLimits(slow, ServingConfig(request_seconds=0.3), [HOST], limited)

    async def at_once():
        whole = {"type": "http.request", "body": b"{}"}
        return await asyncio.gather(*(_asked(app, [whole]) for _ in range(30)))

    statuses = [sent[0]["status"] for sent in asyncio.run(at_once())]
    assert 1 <= statuses.count(200) == len(answered) <= 12 and set(statuses) == {200, 503}
    assert statuses == sorted(statuses), "the first ones are answered"


def test_a_body_that_does_not_come_is_not_waited_for(registry, little_shop, tmp_path):
    with serving(little_shop, tmp_path, request_seconds=0.2) as (service, app):
        begun = {"type": "http.request", "body": b'{"campaign"', "more_body": True}
        sent = asyncio.run(_asked(app, [begun]))
        assert sent[0]["status"] == 408 and b"the body did not come within 0.2 seconds" in sent[1]["body"]
        assert asyncio.run(_asked(app, [begun, {"type": "http.disconnect"}])) == [], "nobody is there to be answered"
        service.close()
    assert decisions(tmp_path) == []


def test_clients_that_go_away_leave_whole_requests_or_nothing(registry, little_shop, tmp_path):
    """Over a socket: a body cut anywhere stores nothing; a whole one of a client that left, all its rows or none."""
    body = b'{"requests": [' + b", ".join([b'{"campaign": "c", "request_id": "%d"}'] * 40) + b"]}"
    with socket.socket() as listening, serving(little_shop, tmp_path) as (_, app):
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        parts = [1.0, 0.5, 1.0, 0.999, 1.0, 0.0, 1.0] * 4
        for number, part in enumerate(parts):
            content = body % ((number,) * 40)
            head = b"POST /decide HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(head % (HOST.encode(), len(content)) + content[: int(part * len(content))])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head % (HOST.encode(), 2) + b"{}")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        server.should_exit = True
        thread.join()
    names = [name for _, name in decisions(tmp_path)]
    counts = {name: names.count(name) for name in names if name is not None}
    whole = {str(number) for number, part in enumerate(parts) if part == 1.0}
    assert set(counts.values()) == {40} and set(counts) <= whole
